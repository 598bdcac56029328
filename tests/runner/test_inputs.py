"""What is given is read and checked before anything is quoted."""

import base64

import pytest

from flatfare.core.action import Size
from flatfare.core.errors import BadInput, LimitExceeded
from flatfare.runner.inputs import File, Prepared, prepared
from flatfare.runner.working import parted
from flatfare.service.actions.reading import read, read_file
from tests.runner.rig import CONTRACT, EXAMPLES

REVIEW = read_file(EXAMPLES / "contract-review.yaml")
SUMMARY = read_file(EXAMPLES / "report-summary.yaml")


def pdf(*pages: str) -> bytes:
    """A PDF of so many pages, each with a line of text."""
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, text in enumerate(pages):
        content = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode()
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {5 + 2 * number} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>".encode()
        )
        objects.append(b"<< /Length %d >>\nstream\n%b\nendstream" % (len(content), content))
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    return out + b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, start)


def test_a_text_is_measured_by_bytes_characters_words_and_pages() -> None:
    found = prepared(REVIEW, {"contract": CONTRACT})
    assert found.size == Size(len(CONTRACT) + 15, len(CONTRACT), 63, 1)
    assert prepared(REVIEW, {"contract": CONTRACT * 10}).size.pages == 2


def test_a_file_is_read_as_the_text_of_its_property() -> None:
    found = prepared(REVIEW, {}, {"contract": File("c.txt", CONTRACT.encode())})
    assert found.values["contract"] == CONTRACT


def test_a_pdf_is_read_page_by_page() -> None:
    content = pdf("Sales rose by a tenth. " * 20, "The board noted it. " * 20)
    found = prepared(SUMMARY, {}, {"report": File("r.pdf", content)})
    assert found.size.pages == 2
    assert str(found.values["report"]).startswith("Sales rose by a tenth.")
    assert "The board noted it." in str(found.values["report"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"%PDF-1.4\nbroken", "could not be read as a PDF"),
        (b"\xff\xfe\x00", "is no text in UTF-8 and no PDF"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        prepared(SUMMARY, {}, {"report": File("r.pdf", content)})


def test_a_pdf_of_pictures_is_refused_with_what_to_do() -> None:
    with pytest.raises(BadInput, match="has no text: 1 pages of pictures"):
        prepared(SUMMARY, {}, {"report": File("r.pdf", pdf(""))})


def test_a_file_may_stand_in_the_input_itself() -> None:
    enclosed = {"name": "c.txt", "base64": base64.b64encode(CONTRACT.encode()).decode()}
    assert prepared(REVIEW, {"contract": enclosed}).values["contract"] == CONTRACT
    with pytest.raises(BadInput, match="'contract' is no file"):
        prepared(REVIEW, {"contract": {"base64": "***"}})


def test_what_the_schema_does_not_take_is_refused_by_place() -> None:
    with pytest.raises(BadInput, match=r"The input is not what contract-review takes\. At /"):
        prepared(REVIEW, {"contract": "short"})
    with pytest.raises(BadInput, match="side"):
        prepared(REVIEW, {"contract": CONTRACT, "side": "ours"})


def test_what_is_too_large_is_refused_before_it_is_read() -> None:
    with pytest.raises(LimitExceeded, match="takes at most 400,000"):
        prepared(REVIEW, {}, {"contract": File("c.txt", bytes(400_001))})


def test_a_file_for_no_property_is_refused() -> None:
    with pytest.raises(BadInput, match="contract-review takes files for contract"):
        prepared(REVIEW, {}, {"letter": File("l.txt", b"x")})


def test_the_same_input_has_the_same_hash_and_another_another() -> None:
    one = prepared(REVIEW, {"contract": CONTRACT, "side": "buyer"}).hash
    assert prepared(REVIEW, {"side": "buyer", "contract": CONTRACT}).hash == one
    assert prepared(REVIEW, {"contract": CONTRACT, "side": "seller"}).hash != one
    file = prepared(REVIEW, {}, {"contract": File("c.txt", CONTRACT.encode())}).hash
    assert prepared(REVIEW, {}, {"contract": File("c.txt", CONTRACT.upper().encode())}).hash != file


def test_what_is_kept_is_read_back_as_it_was() -> None:
    text = (EXAMPLES / "names-and-dates.yaml").read_text()
    scanned = text.replace("files: {email: text}", "files: {scan: image}").replace(
        "    email: {type", "    scan: {type: string}\n    email: {type"
    )
    picture = File("p.png", b"\x89PNG\r\n\x1a\n")
    found = prepared(read(scanned), {"email": "Dear Ann"}, {"scan": picture})
    assert Prepared.from_json(found.to_json()) == found


def test_a_text_is_cut_between_paragraphs_and_nothing_is_lost() -> None:
    text = "\n\n".join("A sentence of some words. " * 10 for _ in range(30))
    parts = list(parted(text, 1000))
    assert "".join(parts) == text
    assert all(len(part) <= 1000 for part in parts)
    assert all(part.endswith("\n\n") for part in parts[:-1])
    assert "".join(parted("x" * 5000, 1000)) == "x" * 5000
