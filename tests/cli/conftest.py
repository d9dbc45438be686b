"""What tests of commands share."""

from tests.dashboards.conftest import browser  # noqa: F401 - a fixture
