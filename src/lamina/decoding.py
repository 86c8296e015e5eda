"""What a JSON text may turn out to be."""

import msgspec

NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for a text that is no JSON, or not of the kind that is asked for, or nested too deep."""
