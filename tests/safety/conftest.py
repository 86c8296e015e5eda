"""What tests of safety share."""

import pytest

pytest.register_assert_rewrite("tests.safety.arena")
