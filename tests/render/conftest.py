"""What tests of pictures and videos share."""

from tests.dashboards.conftest import browser  # noqa: F401 - a fixture
