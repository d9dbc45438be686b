import pytest

from ferflow.errors import OptionsError, VideoError
from ferflow.options import AnalyzeOptions
from ferflow.regions import Region, parse_regions


@pytest.mark.parametrize(
    ("text", "pixels"),
    [
        ("100,50,200,150", (100, 50, 200, 150)),
        ("10%,20%,50%,25%", (64, 72, 320, 90)),
        ("10%, 20%, 320, 90", (64, 72, 320, 90)),
        ("left", (0, 0, 320, 360)),
        ("right", (320, 0, 320, 360)),
        ("top", (0, 0, 640, 180)),
        ("bottom", (0, 180, 640, 180)),
        ("top-left", (0, 0, 320, 180)),
        ("bottom-right", (320, 180, 320, 180)),
        ("500,300,1000,1000", (500, 300, 140, 60)),
        ("33.3333%,0,33.3333%,100%", (213, 0, 214, 360)),
    ],
)
def test_a_region_is_pixels_percent_or_a_place(text, pixels):
    region = Region.parse(text)
    assert region.pixels(640, 360) == pixels
    assert region.name is None
    assert str(region) == region.label == text


def test_a_name_is_that_of_the_participant():
    region = Region.parse(" Ann Lee = left ")
    assert (region.name, region.spec, region.label) == ("Ann Lee", "left", "Ann Lee")
    assert Region.parse(str(region)) == region


@pytest.mark.parametrize(
    "text",
    ["", "middle", "1,2,3", "1,2,3,4,5", "1,2,0,4", "1,2,3,-4", "a,b,c,d", "=left", "1;2;3;4", "1e3,0,9,9", "x" * 999,
     "1,2,3,nan", "999999,0,9,9", "name=", "a=b=left"],
)  # fmt: skip
def test_anything_else_is_refused_in_one_line(text):
    with pytest.raises(OptionsError, match="region must be") as refused:
        Region.parse(text)
    assert "\n" not in str(refused.value)


def test_the_message_names_everything_that_is_accepted():
    with pytest.raises(OptionsError, match=r"bottom-right.*NAME=.*or auto alone; got 'foo'$"):
        Region.parse("foo")


@pytest.mark.parametrize("text", ["90%,90%,20%,20%", "me=0,0%,50%,101%", "60%,0,50%,20"])
def test_percentages_that_reach_outside_of_the_picture_are_refused_in_one_line(text):
    with pytest.raises(OptionsError, match="reaches outside of the picture") as refused:
        parse_regions((text,))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["66.6667%,0,33.3334%,100%", "90%,90%,10%,10%", "600,0,50%,100%"])
def test_percentages_that_end_at_the_edge_are_inside(text):
    assert str(Region.parse(text)) == text


@pytest.mark.parametrize("text", ["700,0,50,50", "0,400,50,50", "630,0,50,50", "0,0,15,200"])
def test_a_region_outside_of_the_picture_or_too_small_is_refused(text):
    with pytest.raises(VideoError, match="--region"):
        Region.parse(text).pixels(640, 360)


def test_names_must_differ_and_auto_stands_alone():
    assert [region.label for region in parse_regions(("a=left", "b=right", "top"))] == ["a", "b", "top"]
    assert parse_regions(("auto",)) == ()
    for texts in (("a=left", "a=right"), ("left", "left"), ("auto", "left")):
        with pytest.raises(OptionsError):
            parse_regions(texts)


def test_options_check_regions_when_they_are_made():
    assert AnalyzeOptions().updated(region="left").region == ("left",)
    assert AnalyzeOptions.from_dict(AnalyzeOptions(region=("a=left",)).as_dict()).region == ("a=left",)
    for texts in (("nowhere",), ("left", "left")):
        with pytest.raises(OptionsError):
            AnalyzeOptions(region=texts)
    with pytest.raises(OptionsError, match="each name is a participant"):
        AnalyzeOptions(region=("a=left",), participants=2)


def test_regions_change_the_digest():
    digests = {AnalyzeOptions(region=texts).digest() for texts in ((), ("left",), ("a=left",), ("auto",))}
    assert len(digests) == 4
