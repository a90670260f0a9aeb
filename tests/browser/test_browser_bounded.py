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


@pytest.mark.browser
def test_a_context_that_does_not_close_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A browser that does not close a context fails a test that has passed, or a real mistake is kept quiet."""
    monkeypatch.setattr("support.chromium.CLOSING_SECONDS_MAX", 1)
    with chromium() as browser:
        context = browser.new_context()
        page = context.new_page()
        monkeypatch.setattr(context, "close", lambda: page.evaluate("() => new Promise(() => {})"))
        browser.give_back(context)
        again = browser.new_context()
        monkeypatch.setattr(
            again, "close", lambda: again.new_page().evaluate("() => nothing.at.all")
        )
        with pytest.raises(Exception, match="nothing is not defined"):
            browser.give_back(again)
