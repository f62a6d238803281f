from restem.errors import first_few


def test_a_message_names_five_and_counts_the_rest() -> None:
    assert first_few(f"q{i}" for i in range(5)) == "q0, q1, q2, q3, q4"
    assert first_few(range(7), separator="; ") == "0; 1; 2; 3; 4 and 2 more"
    assert first_few([]) == ""
