"""What tests of damage share."""

import pytest

pytest.register_assert_rewrite("tests.damage.patient")
