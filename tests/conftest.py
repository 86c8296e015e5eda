"""Settings of all tests.

Property tests run the same examples every time, so that a green run stays green; HYPOTHESIS_PROFILE=deep looks
for new ones.

Programs get ^C as a user sends it, also where the tests run in the background, which begins with it ignored.
"""

import os
import signal

from hypothesis import HealthCheck, settings

settings.register_profile(
    "same", derandomize=True, max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("deep", max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
