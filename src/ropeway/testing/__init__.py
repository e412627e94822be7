"""What the tests of an app, or of a backend of your own, are made of; needs pytest."""

import pytest

# So that an assertion that fails in there shows its values, as one in a test of your own does.
pytest.register_assert_rewrite("ropeway.testing.conformance")
