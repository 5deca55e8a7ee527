"""Of two operators, or two policies, neither is obeyed."""

from spark_ros.control.sources import OneSource


def test_one_publisher_may_lose_messages_and_another_may_come_after_a_new_beginning():
    source = OneSource("policy")
    for number in (7, 8, 12, 4000):
        assert source.heard("chunks", "/chunk", number) is None
    source.begin()
    assert source.heard("chunks", "/chunk", 1) is None


def test_a_second_publisher_is_noticed_wherever_its_numbers_are():
    for other in (1, 5, 6, 7, 1000):
        source = OneSource("operator")
        numbers = [5, other, 6, other + 1, 7, other + 2]
        said = [source.heard("motion", "/twist", number) for number in numbers]
        first = next(index for index, complaint in enumerate(said) if complaint)
        assert first <= 2 and "more than one operator publishes /twist" in said[first]


def test_two_topics_of_one_stream_are_two_sources_and_two_streams_are_not():
    source = OneSource("policy")
    assert source.heard("chunks", "/ee_chunk", 1) is None
    assert source.heard("else", "/joy", 1) is None
    assert "/ee_chunk and another on /joint_chunk" in source.heard("chunks", "/joint_chunk", 2)


def test_without_numbers_only_the_topics_tell():
    source = OneSource("policy")
    assert source.heard("motion", "/a", None) is None
    assert source.heard("motion", "/a", None) is None
    assert source.heard("motion", "/b", None) is not None
