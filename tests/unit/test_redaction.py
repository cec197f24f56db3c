"""What is masked: known values however they are spelled, and what has the shape of a token. And what is not."""

from __future__ import annotations

import base64
import html
import json
import secrets
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import pytest

from portal_actions_plugin.errors import ValidationError
from portal_actions_plugin.runs.secrets.redaction import Redactor
from portal_actions_plugin.runs.secrets.token_shapes import MASK, mask_tokens, require_no_token

HARD = "cän\"ary<4711>&'/+ 50%\\"
"""Something of everything that is spelled otherwise somewhere."""

LINES = "first-line-of-it\n" + "second \"line' of it\nshort\n"

SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "JSON": json.dumps,
    "JSON with letters as they are": lambda value: json.dumps(value, ensure_ascii=False),
    "JSON in JSON": lambda value: json.dumps(json.dumps({"x": value})),
    "JSON in HTML": lambda value: (
        json.dumps(value)
        .replace("<", "\\u003c")
        .replace(">", "\\u003e")
        .replace("&", "\\u0026")
        .replace("'", "\\u0027")
    ),
    "repr": repr,
    "repr between other quotes": lambda value: repr(f"{value} and it's"),
    "repr in a list": lambda value: repr([value, '"', "'"]),
    "ascii": ascii,
    "bytes": lambda value: repr(value.encode()),
    "quote": quote,
    "quote all": lambda value: quote(value, safe=""),
    "quote_plus": quote_plus,
    "quote with small letters": lambda value: quote(value, safe="").lower() if value.islower() else quote(value),
    "a query": lambda value: urlencode({"token": value}),
    "HTML": html.escape,
    "hex": lambda value: value.encode().hex(),
    "base64": lambda value: base64.b64encode(value.encode()).decode(),
    "base64 for addresses": lambda value: base64.urlsafe_b64encode(value.encode()).decode(),
    "Basic of user and value": lambda value: base64.b64encode(f"me:{value}".encode()).decode(),
    "base64 after one more": lambda value: base64.b64encode(f"user:{value}\n".encode()).decode(),
    "base64 after two more": lambda value: base64.b64encode(f"users:{value}:".encode()).decode(),
}


def _units(value: str, width: str) -> list[str]:
    """The value's UTF-16 units, as JSON numbers them."""
    raw = value.encode("utf-16-be")
    return [f"\\u{format(raw[at] * 256 + raw[at + 1], width)}" for at in range(0, len(raw), 2)]


def _every_second(value: str, escaped: Callable[[str], str]) -> str:
    # What would mean something else by itself is escaped in any case.
    return "".join(escaped(char) if place % 2 or char in "\\\"&%+ \n'" else char for place, char in enumerate(value))


ESCAPED: dict[str, Callable[[str], str]] = {
    "JSON, each character": lambda value: "".join(_units(value, "04x")),
    "JSON, each character, in capitals": lambda value: "".join(_units(value, "04X")),
    "JSON, every second character": lambda value: _every_second(value, lambda char: _units(char, "04x")[0]),
    "JSON, its first character": lambda value: _units(value[0], "04x")[0] + json.dumps(value[1:])[1:-1],
    "JSON in JSON, each character": lambda value: json.dumps("".join(_units(value, "04x"))),
    "JSON in JSON in JSON": lambda value: json.dumps(json.dumps("".join(_units(value, "04x")))),
    "program text": lambda value: "".join(f"\\x{byte:02x}" for byte in value.encode("latin-1")),
    "program text with long numbers": lambda value: "".join(f"\\U{ord(char):08x}" for char in value),
    "program text in braces": lambda value: "".join(f"\\u{{{ord(char):x}}}" for char in value),
    "octal": lambda value: "".join(f"\\{byte:03o}" for byte in value.encode("latin-1")),
    "an address, each byte": lambda value: "".join(f"%{byte:02X}" for byte in value.encode()),
    "an address, every second character": lambda value: _every_second(
        value, lambda char: "".join(f"%{byte:02x}" for byte in char.encode())
    ),
    "an address in an address": lambda value: "".join(f"%25{byte:02X}" for byte in value.encode()),
    "JSON in an address": lambda value: quote("".join(_units(value, "04x")), safe=""),
    "an address in JSON": lambda value: "".join(_units("".join(f"%{byte:02X}" for byte in value.encode()), "04x")),
    "JSON in HTML": lambda value: html.escape("".join(_units(value, "04x")).replace("\\", "&#92;")),
    "HTML by number": lambda value: "".join(f"&#{ord(char)};" for char in value),
    "HTML by hexadecimal number": lambda value: "".join(f"&#X{ord(char):04X};" for char in value),
}


@pytest.mark.fault("B12")
@pytest.mark.parametrize("escaped", ESCAPED)
@pytest.mark.parametrize("value", [HARD, "plain-secret-4711", LINES])
def test_a_value_is_masked_whichever_of_its_characters_are_escaped(value: str, escaped: str) -> None:
    written = ESCAPED[escaped](value)
    masked = Redactor([value]).text(f"before {written} after \\u00e4 %20 &amp;")
    assert masked.replace('"', "").replace("\\", "") == f"before {MASK} after u00e4 %20 &amp;"


@pytest.mark.fault("B12")
def test_a_character_that_is_written_as_a_pair_is_found_again() -> None:
    value = "key \U0001f511 of 4711"
    written = "".join(_units(value, "04x"))
    assert Redactor([value]).text(f"\\ud83d\\udd11{written}\\ud83d!") == f"\\ud83d\\udd11{MASK}\\ud83d!"
    assert Redactor(["pin"]).text("".join(_units("pin", "04x"))) == MASK, "short, and all there is"


@pytest.mark.fault("B12")
def test_an_escaped_token_is_masked_and_refused_though_nobody_named_it() -> None:
    token = "".join(_units("ghp_" + "a1B2" * 9, "04x"))
    assert mask_tokens(f"use {token}.") == f"use {MASK}."
    with pytest.raises(ValidationError, match="x"):
        require_no_token({"x": token})
    assert mask_tokens("redis%3A%2F%2F%3Ahunter2%40cache") == f"redis%3A%2F%2F%3A{MASK}%40cache"


def test_what_is_escaped_and_no_secret_stays_as_it_is() -> None:
    text = r"\u0000 \ud83d \udd11\ud83d \u12 \x4 \U99999999 \u{110000} \777 %ff%fe%c3 &#0; &#1114112; &nope; &amp"
    assert Redactor(["canary"]).text(text) == text


def test_escapes_without_end_do_not_make_it_slow() -> None:
    """Work that grows with the square of the length would outlast the time of a test."""
    redactor = Redactor(["canary-4711", "u0063u0063"])
    for piece in (r"\u0063", "\\", r"\\\\u0063", "%63", "%", "&#99;", "&", r"\ud83d"):
        redactor.text(piece * 8_000)


def words_of(value: str) -> list[str]:
    """What must not be left of it, in whatever spelling."""
    return [part for part in ("4711", "ary", "second", "first-line") if part in value]


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("value", [HARD, LINES, "plain-secret-4711"])
def test_a_value_is_masked_however_it_is_spelled(value: str, spelling: str) -> None:
    spelled = SPELLINGS[spelling](value)
    masked = Redactor([value]).text(f"before {spelled} after")
    assert MASK in masked
    assert masked.startswith("before ")
    assert masked.endswith(" after")
    assert [word for word in words_of(value) if word in masked] == []
    # Of base64, only the letters that the value shares with what stands around it are left.
    assert len(masked) < len("before  after") + max(len(spelled) / 2, 24)


def test_each_line_of_a_value_is_masked_by_itself() -> None:
    redactor = Redactor([LINES])
    assert redactor.text("first-line-of-it") == MASK
    assert redactor.text(json.dumps({"x": "second \"line' of it"})) == f'{{"x": "{MASK}"}}'
    assert redactor.text("a short word") == "a short word", "a short line may be any word"


def test_a_value_with_blanks_around_it_is_masked_without_them_too() -> None:
    assert Redactor(["  pasted-secret\n"]).text("x=pasted-secret;") == f"x={MASK};"


def test_the_longest_value_is_masked_first_and_data_keeps_its_form() -> None:
    redactor = Redactor(["abcd", "abcdef", 4711, True, "", None])
    assert redactor.text("abcdef abcd") == f"{MASK} {MASK}"
    assert redactor.data({"abcd": ["x abcd", 4711, True, None, 1.5]}) == {MASK: [f"x {MASK}", MASK, True, None, 1.5]}


def test_a_value_of_a_few_characters_is_masked_only_where_it_is_all_there_is() -> None:
    redactor = Redactor(["a", 7, "x1"])
    assert redactor.data({"pin": "a", "n": 7, "m": 77, "b": " x1\n"}) == {"pin": MASK, "n": MASK, "m": 77, "b": MASK}
    assert redactor.text("a banana at 7") == "a banana at 7"


def test_values_of_lists_and_tables_count_each() -> None:
    redactor = Redactor([{"user": "the-user", "more": ["one-more", {"x": "the-last"}]}])
    assert redactor.text("the-user one-more the-last user") == f"{MASK} {MASK} {MASK} user"


def test_known_in_names_the_values_that_data_holds() -> None:
    redactor = Redactor(["first-secret", "other-secret", 12])
    assert redactor.known_in({"x": ["a first-secret", 12, 13]}) == ["first-secret", "12"]


def test_many_values_do_not_make_it_slow() -> None:
    """It takes a second or two. Work that grows with values times characters would outlast the time of a test."""
    redactor = Redactor([secrets.token_urlsafe(48) for _ in range(3_900)])
    text = "2026-01-01 cloned https://example.com/acme/orders?ref=main to /srv/work " * 100_000
    assert redactor.text(text) == text


# -- tokens ----------------------------------------------------------------------------------------------------------

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
KEY = "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEowIBAAKCAQEAu1SU1LfVLPHCozMxH2Mo4lgOEePzNm0tRgeLezV6ffAt0gun\n" * 3
KEY += "-----END RSA PRIVATE KEY-----"

TOKENS = {
    "ghp": "ghp_" + "a1B2" * 9,
    "gho": "gho_" + "a1B2" * 9,
    "ghu": "ghu_" + "a1B2" * 9,
    "ghs": "ghs_" + "a1B2" * 9,
    "ghr": "ghr_" + "a1B2" * 19,
    "github_pat": "github_pat_" + "11ABCDEFG0" * 2 + "_" + "a1B2" * 14,
    "glpat": "glpat-" + "a1B2_" * 4,
    "glpat with routing": "glpat-" + "a1B2-" * 5 + ".01.0z1x2c3v4",
    "gldt": "gldt-" + "a1B2_" * 4,
    "glrt": "glrt-" + "a1B2_" * 4,
    "xoxb": "xoxb-123456789012-123456789012-a1B2c3D4",
    "xoxp": "xoxp-123456789012-a1B2c3D4",
    "AKIA": "AKIAIOSFODNN7EXAMPLE",
    "ASIA": "ASIAIOSFODNN7EXAMPLE",
    "JWT": JWT,
    "key": KEY,
    "key in JSON": json.dumps(KEY)[1:-1],
    "key with headers": KEY.replace(
        "KEY-----\nM", "KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,01AF\n\nM", 1
    ),
    "key that is cut off": KEY[:120],
}


@pytest.mark.parametrize("name", TOKENS)
def test_the_shape_of_a_token_is_masked_though_nobody_named_it(name: str) -> None:
    token = TOKENS[name]
    for before, after in (("token: ", "."), ('{"x": "', '"}'), ("?t=", "&x=1"), ("(", ")")):
        assert mask_tokens(before + token + after) == before + MASK + after


@pytest.mark.parametrize(
    ("said", "masked"),
    [
        ("clone https://bot:hunter2@example.com/x.git", f"clone https://bot:{MASK}@example.com/x.git"),
        ("redis://:hunter2@cache:6379/0", f"redis://:{MASK}@cache:6379/0"),
        ("postgresql+psycopg://me:p%40ss@db/x", f"postgresql+psycopg://me:{MASK}@db/x"),
        ("Authorization: Bearer abcdef123456", f"Authorization: Bearer {MASK}"),
        ("{'authorization': 'Basic dXNlcjpwYXNz'}", f"{{'authorization': 'Basic {MASK}'}}"),
        ('{\\"Authorization\\": \\"token abcdef123456\\"}', f'{{\\"Authorization\\": \\"token {MASK}\\"}}'),
        ("('Authorization', 'Bearer abcdef123456')", f"('Authorization', 'Bearer {MASK}')"),
    ],
)
def test_only_the_password_of_an_address_and_of_a_header_is_masked(said: str, masked: str) -> None:
    assert mask_tokens(said) == masked
    assert mask_tokens(masked) == masked


def test_a_secret_that_is_the_user_of_an_address_is_masked_with_the_password() -> None:
    assert Redactor(["the-user-token"]).text("https://the-user-token:pass@x/y") == f"https://{MASK}:{MASK}@x/y"


HARMLESS = [
    "9f2c4b1e7a6d5c3b2a1f0e9d8c7b6a5f4e3d2c1b",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    str(uuid.UUID(int=4711)),
    "https://github.com/acme/orders/pull/12#discussion_r1234567890",
    "https://example.com:8443/a/b?x=1&mail=me@example.com",
    "http://[::1]:8080/@scope/package",
    "git@github.com:acme/orders.git",
    "ssh://git@example.com:22/acme/orders.git",
    "https://registry.npmjs.org/@types/node/-/node-20.0.0.tgz",
    "mailto:me@example.com and https://example.com: see @me",
    "https://x-access-token:${GITHUB_TOKEN}@github.com/acme/orders",
    "https://oauth2:<your-token>@gitlab.com/acme",
    "postgres://user:%(password)s@db/x and postgres://user:{password}@db/x",
    "Authorization: Bearer ${{ secrets.TOKEN }}",
    "Authorization: Bearer <token>",
    "Authorization is asked for by the bearer of it.",
    "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n-----END PUBLIC KEY-----",
    "-----BEGIN CERTIFICATE-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n-----END CERTIFICATE-----",
    "A file that begins with -----BEGIN PRIVATE KEY----- is a key. Do not commit it!",
    "ghp_short and glpat-short and xoxb-short and xox-ray-machine-number",
    "my_ghp_" + "a1B2" * 9,
    "XAKIAIOSFODNN7EXAMPLE AKIAIOSFODNN7EXAMPLEX",
    "eyJhbGciOiJIUzI1NiJ9",
    "eyJ.a.b version 1.2.3 portal.actions.plugin",
    "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==",
    base64.b64encode(bytes(range(256))).decode(),
]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_token_survives(text: str) -> None:
    assert Redactor(["a-known-value"]).text(text) == text
    require_no_token({"x": text})


def test_a_long_text_without_an_end_does_not_make_it_slow() -> None:
    """Work that grows with the square of the length would outlast the time of a test."""
    for text in (
        "-----BEGIN RSA PRIVATE KEY-----" * 100_000,
        "://a:" * 1_000_000,
        "eyJ" + "a" * 3_000_000,
        "xoxb-" * 500_000,
    ):
        mask_tokens(text)


def test_a_long_value_of_many_lines_does_not_make_it_slow() -> None:
    lines = [secrets.token_urlsafe(47) for _ in range(3_500)]
    redactor = Redactor(["\n".join(lines), secrets.token_urlsafe(12_000)])
    assert redactor.text(f"line 7 is {lines[7]}.") == f"line 7 is {MASK}."
    redactor.data({"lines": ["a line of a log without any of it"] * 10_000})


def test_lines_that_begin_like_each_other_are_no_trouble() -> None:
    redactor = Redactor(["\n".join("a" * length for length in range(8, 400))])
    assert redactor.text(f"b{'a' * 300}b") == f"b{MASK}b"


def test_many_values_named_between_lines_are_no_trouble() -> None:
    redactor = Redactor()
    for number in range(1_200):
        redactor.add(f"token-{number}-of-a-repository")
        assert redactor.text(f"made token-{number}-of-a-repository") == f"made {MASK}"


@pytest.mark.parametrize(
    ("data", "field", "what"),
    [
        ({"message": f"use {TOKENS['ghp']}"}, "message", "a GitHub token"),
        ({"files": [{"content": KEY}]}, "files[0].content", "a private key"),
        ({"headers": {"x": TOKENS["AKIA"]}}, "headers.x", "an AWS access key"),
        ({TOKENS["glpat"]: 1}, MASK, "a GitLab token"),
    ],
)
def test_an_input_with_a_token_is_refused_and_named(data: dict[str, Any], field: str, what: str) -> None:
    with pytest.raises(ValidationError) as refused:
        require_no_token(data)
    assert refused.value.fields == {field: [f"Looks like {what}: give it in a secret field."]}
    assert field in refused.value.message


@pytest.mark.parametrize(
    "text", ["postgres://app:app@localhost/app", 'curl -H "Authorization: Bearer example-token" https://example.com']
)
def test_what_a_readme_shows_as_an_example_is_masked_where_a_run_writes_and_no_reason_to_refuse_it(text: str) -> None:
    require_no_token({"files": [{"content": text}]})
    assert MASK in mask_tokens(text)
