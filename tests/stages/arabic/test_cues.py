"""The cues of a headline."""

import re

import pytest

from pipelines.stages.arabic.cues import CUES, cues_of


@pytest.mark.parametrize("cue", CUES, ids=lambda cue: cue.example)
def test_every_cue_is_found(cue):
    """Each cue is found at a headline's start, in any spelling, and nowhere else."""
    assert cues_of(cue.example) == (cue.name,)
    assert cues_of(re.sub("(?<=[^ ])(?=[^ ])", "\u064e", cue.example)) == (cue.name,)
    assert cues_of(f"الوزير {cue.example}") == ()


def test_cues_need_their_sign():
    """Ordinary sentences that begin with a cue's word are no cues; two cues may stand together."""
    assert cues_of("تحديث أنظمة البلدية") == ()
    assert cues_of("تصويب أوضاع العمالة") == ()
    assert cues_of("سحب قوات من الحدود") == ()
    assert cues_of("عاجل | تحديث: انفجار") == ("urgent", "update")
