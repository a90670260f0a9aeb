"""A browser that never answers does not hold the suite."""

import pytest
from support.chromium import bounded, chromium


@pytest.mark.browser
def test_a_browser_that_does_not_answer_is_given_up() -> None:
    """A call without a bound of time waits for ever, or the test after it finds no browser."""
    with chromium() as browser:
        page = browser.new_page()
        with bounded(1), pytest.raises(Exception, match=r"closed|crashed"):
            page.evaluate("() => new Promise(() => {})")
        assert browser.new_page().evaluate("() => 6 * 7") == 42
