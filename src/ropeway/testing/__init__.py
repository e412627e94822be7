"""What the tests of an app, or of a backend of your own, are made of."""

import sys

# So that an assertion that fails in there shows its values, as one in a test of your own does.
if (pytest := sys.modules.get("pytest")) is not None:
    pytest.register_assert_rewrite("ropeway.testing.conformance")
