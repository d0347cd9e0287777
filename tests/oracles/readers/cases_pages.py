"""Pages in folders: labels, marks, deep nesting, pages without the usual elements."""

from __future__ import annotations

from pathlib import Path

from tests.oracles.readers.cases_streams import put
from tests.oracles.readers.prose import page, paragraph, paragraphs
from tests.oracles.readers.rig import Outcome, Right, squeezed

KOREAN = paragraphs(5, first=600, sentences=6)
JAPANESE = [
    f"{n}番目の文章です。朝の霧が晴れると、港には二そうの漁船が入っていた。祖母は庭の隅で唐辛子を干していた。"
    "図書館の裏の坂道は、春になると黄色い花でいっぱいになる。終電を逃した二人は駅前の食堂で始発を待った。"
    for n in range(5)
]
CHINESE = [
    f"第{n}篇文章。清晨的雾散去以后，港口停着两条渔船。祖母在院子的角落里晒辣椒。"
    "图书馆后面的山坡每到春天就开满黄色的花。错过末班车的两个人在车站前的饭馆里等着头班车。"
    for n in range(5)
]
TAIWAN = [
    f"第{n}篇文章。清晨的霧散去以後，港口停著兩條漁船。祖母在院子的角落裡曬辣椒。"
    "圖書館後面的山坡每到春天就開滿黃色的花。錯過末班車的兩個人在車站前的飯館裡等著頭班車。"
    for n in range(5)
]
RUSSIAN = [
    f"Текст номер {n}. Утром туман рассеялся, и в гавани стояли две рыбацкие лодки. Бабушка сушила перец в углу двора. "
    "Склон за библиотекой каждую весну становится жёлтым от цветов. Двое опоздали на последний поезд и ждали первого."
    for n in range(5)
]
ENGLISH = [
    f"Text number {n}. The kettle boiled at 100°C and the room was at 21°C – “warm enough”, said the café’s owner. "
    "The ticket costs £5 or €6, a naïve traveller pays more, and half the coaches leave at ½ past nine."
    for n in range(5)
]


def folder_of(folder: Path, files: dict[str, bytes]) -> dict[str, dict[str, str]]:
    (folder / "p").mkdir()
    for name, data in files.items():
        put(folder, f"p/{name}", data)
    return {"s": {"path": "p"}}


def labelled(label: str) -> str:
    return f'<meta http-equiv="Content-Type" content="text/html; charset={label}">'


def one(folder: Path, texts: list[str], codec: str, head: str) -> Right:
    data = page(texts, head, title="page").encode(codec, "replace")
    return Right(folder_of(folder, {"a.html": data}), docs=1, holds=texts)


def iso_2022_kr(folder: Path) -> Right:
    return one(folder, KOREAN, "iso2022_kr", labelled("iso-2022-kr"))


def iso_2022_kr_without_label(folder: Path) -> Right:
    return one(folder, KOREAN, "iso2022_kr", "")


def iso_2022_jp(folder: Path) -> Right:
    return one(folder, JAPANESE, "iso2022_jp", labelled("ISO-2022-JP"))


def johab(folder: Path) -> Right:
    return one(folder, KOREAN, "johab", "")


def shift_jis(folder: Path) -> Right:
    return one(folder, JAPANESE, "cp932", labelled("x-sjis"))


def euc_jp_without_label(folder: Path) -> Right:
    return one(folder, JAPANESE, "euc_jp", "")


def gb18030_labelled_gb2312(folder: Path) -> Right:
    return one(folder, [text + "㐀朱镕基𠀀" for text in CHINESE], "gb18030", labelled("gb2312"))


def big5(folder: Path) -> Right:
    return one(folder, TAIWAN, "big5", labelled("big5"))


def koi8_without_label(folder: Path) -> Right:
    return one(folder, RUSSIAN, "koi8_r", "")


def windows_1251_without_label(folder: Path) -> Right:
    return one(folder, RUSSIAN, "cp1251", "")


def windows_1252_labelled_latin_1(folder: Path) -> Right:
    return one(folder, ENGLISH, "cp1252", labelled("iso-8859-1"))


def one_degree_sign_in_windows_1252(folder: Path) -> Right:
    texts = [*paragraphs(6, "en", 650), "Water boils at 100°C at sea level."]
    return one(folder, texts, "cp1252", labelled("windows-1252"))


def ks_c_5601_1987(folder: Path) -> Right:
    texts = [text + " 똠방각하 펲시콜라 뷁" for text in KOREAN]
    return one(folder, texts, "cp949", labelled("ks_c_5601-1987"))


def euc_kr_with_twenty_bad_bytes_in_100_kb(folder: Path) -> Right:
    texts = paragraphs(300, first=3000, sentences=3)
    data = bytearray(page(texts, labelled("euc-kr"), "page").encode("cp949"))
    for number in range(20):
        data[8000 + 1501 * number] = 0xFF

    def check(got: Outcome) -> str | None:
        text = squeezed("".join(doc["text"] for doc in got.docs))
        kept = sum(squeezed(one) in text for one in texts)
        return None if kept >= 270 else f"{kept} of 300 paragraphs"

    return Right(folder_of(folder, {"a.html": bytes(data)}), docs=1, check=check)


def utf8_labelled_utf16(folder: Path) -> Right:
    return one(folder, KOREAN, "utf-8", labelled("utf-16"))


def utf8_with_mark_labelled_euc_kr(folder: Path) -> Right:
    return one(folder, KOREAN, "utf-8-sig", labelled("euc-kr"))


def utf16_with_mark(folder: Path) -> Right:
    return one(folder, KOREAN, "utf-16", labelled("utf-16"))


def utf16_without_mark(folder: Path) -> Right:
    return one(folder, paragraphs(5, "en", 660), "utf-16-le", "")


def label_of_an_xml_declaration(folder: Path) -> Right:
    text = page(KOREAN, "", "page").replace(
        "<!DOCTYPE html>", '<?xml version="1.0" encoding="euc-kr"?>\n<!DOCTYPE html>'
    )
    return Right(folder_of(folder, {"a.xhtml": text.encode("euc-kr")}), docs=1, holds=KOREAN)


def label_after_3000_bytes_of_script(folder: Path) -> Right:
    head = "<script>" + "var a = 1; " * 300 + "</script>" + labelled("euc-kr")
    return one(folder, KOREAN, "euc-kr", head)


def page_without_html_element(folder: Path) -> Right:
    data = "".join(f"<p>{text}</p>\n" for text in KOREAN).encode()
    return Right(folder_of(folder, {"a.html": data}), docs=1, holds=KOREAN)


def page_without_paragraphs(folder: Path) -> Right:
    data = ("<html><body><div>" + "<br>\n".join(KOREAN) + "</div></body></html>").encode()
    return Right(folder_of(folder, {"a.html": data}), docs=1, holds=KOREAN)


def page_of_300_nested_tables(folder: Path) -> Right:
    inner = "".join(f"<p>{text}</p>" for text in KOREAN)
    body = "<table><tr><td>" * 300 + inner + "</td></tr></table>" * 300
    good = page(paragraphs(4, first=680, sentences=6))
    files = {"a.html": f"<html><body>{body}</body></html>".encode(), "b.html": good.encode()}
    return Right(folder_of(folder, files), docs=2, holds=[*KOREAN, paragraph(680, sentences=6)])


def page_of_5000_open_elements(folder: Path) -> Right:
    body = (
        "".join(f"<div><b><i><p>{text}" for text in KOREAN)
        + "<font>" * 5000
        + "끝에 선 문장입니다."
    )
    return Right(
        folder_of(folder, {"a.html": f"<html><body>{body}".encode()}), docs=1, holds=KOREAN
    )


def page_with_cdata_and_self_closing_script(folder: Path) -> Right:
    text = page(KOREAN, '<meta charset="utf-8" /><link rel="a" href="b" />')
    text = text.replace("<body>", "<body><script>//<![CDATA[\nvar a = '<p>';\n//]]></script>")
    text = text.replace("<html>", '<html xmlns="http://www.w3.org/1999/xhtml">')
    return Right(
        folder_of(folder, {"a.xhtml": text.encode()}),
        docs=1,
        holds=KOREAN,
        lacks=["CDATA", "var a"],
    )


def page_in_numbered_entities(folder: Path) -> Right:
    body = "".join(
        "<p>" + "".join(f"&#{ord(c)};" if ord(c) > 127 else c for c in text) + "</p>"
        for text in KOREAN
    )
    data = (
        f"<html><head><title>&#44592;</title></head><body><article>{body}</article></body></html>"
    )
    return Right(folder_of(folder, {"a.html": data.encode("ascii")}), docs=1, holds=KOREAN)


def page_with_nul_bytes(folder: Path) -> Right:
    data = page(KOREAN).encode().replace(b"</p>\n<p>", b"\0</p>\n\0<p>")
    return Right(folder_of(folder, {"a.html": data}), docs=1, holds=KOREAN)


def page_without_any_text(folder: Path) -> Right:
    empty = b"<!DOCTYPE html><html><head><title></title></head><body><img src=a></body></html>"
    files = {"a.html": page(KOREAN).encode(), "b.html": empty}
    return Right(folder_of(folder, files), docs=1, holds=KOREAN, faults=0, others=1)


def short_page_of_one_sentence(folder: Path) -> Right:
    data = page(["오늘은 도서관이 쉽니다."], title="알림").encode()
    return Right(folder_of(folder, {"a.html": data}), docs=1, holds=["오늘은 도서관이 쉽니다."])


def escaped_marks_stay(folder: Path) -> Right:
    texts = [
        f"{KOREAN[0]} 함수 &lt;T&gt; 와 &lt;Table 1&gt; 참조, a &lt;b 이고 c&gt; d.",
        *KOREAN[1:],
    ]
    right = one(folder, texts, "utf-8", '<meta charset="utf-8">')
    return Right(
        right.sources, docs=1, holds=["함수 <T> 와 <Table 1> 참조, a <b 이고 c> d.", *KOREAN[1:]]
    )


CASES = [
    iso_2022_kr,
    iso_2022_kr_without_label,
    iso_2022_jp,
    johab,
    shift_jis,
    euc_jp_without_label,
    gb18030_labelled_gb2312,
    big5,
    koi8_without_label,
    windows_1251_without_label,
    windows_1252_labelled_latin_1,
    one_degree_sign_in_windows_1252,
    ks_c_5601_1987,
    euc_kr_with_twenty_bad_bytes_in_100_kb,
    utf8_labelled_utf16,
    utf8_with_mark_labelled_euc_kr,
    utf16_with_mark,
    utf16_without_mark,
    label_of_an_xml_declaration,
    label_after_3000_bytes_of_script,
    page_without_html_element,
    page_without_paragraphs,
    page_of_300_nested_tables,
    page_of_5000_open_elements,
    page_with_cdata_and_self_closing_script,
    page_in_numbered_entities,
    page_with_nul_bytes,
    page_without_any_text,
    short_page_of_one_sentence,
    escaped_marks_stay,
]
