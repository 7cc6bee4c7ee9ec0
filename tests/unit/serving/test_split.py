import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldgate.serving.split import choose_arm, salt_of

CALLERS = [f"{number:032x}" for number in range(20_000)]
ratios = st.floats(0, 1)


def on_canary(*, ratio: float, salt: str) -> set[str]:
    return {caller for caller in CALLERS if choose_arm(caller, ratio=ratio, salt=salt) == "canary"}


class TestChooseArm:
    @given(caller=st.text(), ratio=ratios, salt=st.text())
    def test_sends_a_caller_to_the_same_arm_every_time(self, caller, ratio, salt):
        assert choose_arm(caller, ratio=ratio, salt=salt) == choose_arm(caller, ratio=ratio, salt=salt)

    @given(caller=st.text(), low=ratios, high=ratios, salt=st.text())
    def test_keeps_a_caller_on_the_canary_when_the_ratio_rises(self, caller, low, high, salt):
        low, high = sorted((low, high))

        assert choose_arm(caller, ratio=low, salt=salt) == "champion" or (
            choose_arm(caller, ratio=high, salt=salt) == "canary"
        )

    @given(caller=st.text(), salt=st.text())
    def test_sends_nobody_at_zero_and_everybody_at_one(self, caller, salt):
        assert choose_arm(caller, ratio=0, salt=salt) == "champion"
        assert choose_arm(caller, ratio=1, salt=salt) == "canary"

    @pytest.mark.parametrize("ratio", [0.01, 0.05, 0.25, 0.5])
    @pytest.mark.parametrize("salt", [salt_of("helper", "7"), salt_of("helper", "8")])
    def test_gives_the_canary_its_share(self, ratio, salt):
        """Within four standard deviations of a binomial: a fair split misses that once in 16,000 salts."""
        slack = 4 * math.sqrt(ratio * (1 - ratio) / len(CALLERS))

        assert len(on_canary(ratio=ratio, salt=salt)) / len(CALLERS) == pytest.approx(ratio, abs=slack)

    def test_takes_other_callers_for_another_version(self):
        first, second = (on_canary(ratio=0.1, salt=salt_of("helper", version)) for version in ("7", "8"))

        assert len(first & second) / len(first) == pytest.approx(0.1, abs=0.03)
