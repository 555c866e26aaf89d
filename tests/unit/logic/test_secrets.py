"""Passwords are not shown, and nothing else is left out."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.logic.secrets import COMMANDS_AT_MOST, declare, is_secret_input, mask, mask_output, mask_words

TEXTS = [
    # URLs
    ("Startup of /s/ -> rsync://u:pa55@host/m/ finished.", "Startup of /s/ -> rsync://u:***@host/m/ finished."),
    ("rsync://u:p@ss:w@[::1]:873/m", "rsync://u:***@[::1]:873/m"),
    ('"ftp://:x@host"', '"ftp://:***@host"'),
    # options
    ("rsync --password=pa55 a b", "rsync --password=*** a b"),
    ("prog --db-password 'pa 55' x", "prog --db-password *** x"),
    ('prog --auth-token="pa 55" x', "prog --auth-token=*** x"),
    ("wget --http-password=pa55", "wget --http-password=***"),
    # variables and keys
    ("RSYNC_PASSWORD=pa55 rsync a b", "RSYNC_PASSWORD=*** rsync a b"),
    ("export SSHPASS='pa 55'; ssh", "export SSHPASS=*** ssh"),
    ("AWS_SECRET_ACCESS_KEY=pa55 aws", "AWS_SECRET_ACCESS_KEY=*** aws"),
    ("mount -o user=u,password=pa55 x", "mount -o user=u,password=*** x"),
    ("MYSQL_PWD=pa55 mysqldump", "MYSQL_PWD=*** mysqldump"),
    # programs
    ("sshpass -p pa55 ssh -p 22 host", "sshpass -p *** ssh -p 22 host"),
    ("/usr/bin/sshpass -v -ppa55 ssh -p 22", "/usr/bin/sshpass -v -p*** ssh -p 22"),
    ("--rsh=sshpass -P Enter -p 'pa 55' ssh -p 22", "--rsh=sshpass -P Enter -p *** ssh -p 22"),
    ("plink -batch -pw pa55 host", "plink -batch -pw *** host"),
    ("curl -sS -u me:pa55 -T f ftp://h", "curl -sS -u me:*** -T f ftp://h"),
    ("curl --user=me:pa55 x | sshpass -p pa55 y", "curl --user=me:*** x | sshpass -p *** y"),
    ("lftp -u me,pa55 host", "lftp -u me,*** host"),
    ("smbclient //h/s -U me%pa55", "smbclient //h/s -U me:***".replace(":", "%")),
    ("mysqldump -u root -ppa55 db", "mysqldump -u root -p*** db"),
    # connection strings, lists of options
    (
        ":webdav,url=https://h/,vendor=other,user=me,pass=pa55:dir",
        ":webdav,url=https://h/,vendor=other,user=me,pass=***",
    ),
    (":s3,access_key_id=me,secret_access_key=pa55:bucket", ":s3,access_key_id=me,secret_access_key=***"),
    ("mount -o user=me,pass=pa55 x", "mount -o user=me,pass=*** x"),
    (":b2,account=me,key=pa55:bucket", ":b2,account=me,key=***"),
    ("https://h/put?key=pa55", "https://h/put?key=***"),
    ("PASS=pa55 prog", "PASS=*** prog"),
    # headers
    ("curl -H 'Authorization: Bearer pa55' h", "curl -H 'Authorization: Bearer ***' h"),
    ('curl -H "X-Api-Key: pa55" h', 'curl -H "X-Api-Key: ***" h'),
    ("curl -H X-Auth-Token:pa55 h", "curl -H X-Auth-Token:*** h"),
    ("Proxy-Authorization: Basic cGE1NQ==", "Proxy-Authorization: Basic ***"),
    # a slash in a password, and a password where rsync takes none
    ("rsync://u:p/a/55@h/m", "rsync://u:***@h/m"),
    ("u:pa55@host::mod", "u:***@host::mod"),
    # more programs
    ("redis-cli -h h -a pa55 ping", "redis-cli -h h -a *** ping"),
    ("7z a -ppa55 x.7z", "7z a -p*** x.7z"),
    ("openssl enc -aes-256-cbc -k pa55 -in x", "openssl enc -aes-256-cbc -k *** -in x"),
    ("openssl enc -pass pass:pa55", "openssl enc -pass ***"),
    ("echo pa55 | sudo -S mount /x", "echo *** | sudo -S mount /x"),
    ("echo -n 'pa 55'|/usr/bin/cryptsetup open x y", "echo ***|/usr/bin/cryptsetup open x y"),
    ("printf '%s' pa55 | docker login --password-stdin", "printf *** | docker login --password-stdin"),
    ("ssh -o ProxyCommand='sshpass -p pa55 ssh gate' h", "ssh -o ProxyCommand='sshpass -p *** ssh gate' h"),
    ("ssh -o 'ProxyCommand ncat --proxy-auth me:pa55 p 80'", "ssh -o 'ProxyCommand ncat --proxy-auth me:*** p 80'"),
    ("rm x\nsshpass -p pa55 ssh h", "rm x\nsshpass -p *** ssh h"),
]

WITHOUT = [
    "rsync --password-file=/etc/secret rsync://user@host:873/m/",
    "ssh -p 22 -o PasswordAuthentication=no -o BatchMode=yes user@host",
    "sshpass -e ssh -p 22 host",
    "sshpass -f /etc/pw ssh -p 22 host",
    "/srv/passwords/token/key",
    "/srv/password=1",
    "curl -u me -p http://host:80/a@b",
    "mysql -u root -p db",
    "see http://host:80 or write to me@host",
    "Calling rsync with filter-list of new/modified files/dirs\n/a pass\n/secret\n/",
    "--ask-password --other",
    "echo one | tee two",
    "echo ^path | xargs rm",
    "rsync://host:873/mod/a@b",
    "user@host::mod/a:b@c",
    "monkey=3 /a,key",
    "7z x a.7z",
    "openssl version",
    "",
]


@pytest.mark.parametrize(("text", "shown"), TEXTS)
def test_passwords_are_masked(text: str, shown: str) -> None:
    assert mask(text) == shown
    assert "55" not in shown
    assert mask(shown) == shown


@pytest.mark.parametrize("text", WITHOUT)
def test_what_holds_none_stays(text: str) -> None:
    assert mask(text) == text
    words = text.encode().split(b" ")
    assert mask_words(words) == words


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["sshpass", "-p", "pa 55", "ssh", "-p", "22"], ["sshpass", "-p", "***", "ssh", "-p", "22"]),
        (["/bin/sshpass", "-ppa 55", "ssh"], ["/bin/sshpass", "-p***", "ssh"]),
        (["nice", "sshpass", "-p", "pa55", "x"], ["nice", "sshpass", "-p", "***", "x"]),
        (["env", "RSYNC_PASSWORD=pa 55", "rsync"], ["env", "RSYNC_PASSWORD=***", "rsync"]),
        (["sh", "-c", 'PASSWORD=pa55 x "$1"', "sh", "/f"], ["sh", "-c", 'PASSWORD=*** x "$1"', "sh", "/f"]),
        (["x", "--password", "pa 55", "y"], ["x", "--password", "***", "y"]),
        (["x", "--password=pa 55", "y"], ["x", "--password=***", "y"]),
        (["curl", "-u", "me:pa 55", "y"], ["curl", "-u", "me:***", "y"]),
        (["rsync", "--rsh=sshpass -p pa55 ssh -p 2"], ["rsync", "--rsh=sshpass -p *** ssh -p 2"]),
        (["curl", "-H", "Authorization: Bearer pa 55"], ["curl", "-H", "Authorization: Bearer ***"]),
        (
            ["rclone", "sync", "/s", ":webdav,user=me,pass=pa 55:d"],
            ["rclone", "sync", "/s", ":webdav,user=me,pass=***"],
        ),
        (["ssh", "-o", "ProxyCommand=sshpass -p pa55 ssh g"], ["ssh", "-o", "ProxyCommand=sshpass -p *** ssh g"]),
        (["ssh", "-oProxyCommand=ncat --proxy-auth u:pa55 p 1"], ["ssh", "-oProxyCommand=ncat --proxy-auth u:*** p 1"]),
        (["redis-cli", "-a", "pa 55"], ["redis-cli", "-a", "***"]),
        (["sh", "-c", "echo pa55 | sudo -S x"], ["sh", "-c", "echo *** | sudo -S x"]),
        (["rsync", "/s/", "rsync://u:pa55@h/m"], ["rsync", "/s/", "rsync://u:***@h/m"]),
    ],
)
def test_in_arguments_too(words: list[str], shown: list[str]) -> None:
    assert mask_words([word.encode() for word in words]) == [word.encode() for word in shown]


def test_bytes_that_are_no_text_stay() -> None:
    assert mask_words([b"x", b"\xff\xfe", b"--password=\xff"]) == [b"x", b"\xff\xfe", b"--password=***"]
    assert mask("\udcff token=x") == "\udcff token=***"


def test_what_a_program_reads_may_be_a_password() -> None:
    assert is_secret_input([b"rsync", b"--password-file=-", b"a", b"b"])
    assert is_secret_input([b"sshpass", b"ssh", b"h"])
    assert not is_secret_input([b"sshpass", b"-p", b"x", b"ssh", b"h"])
    assert not is_secret_input([b"rsync", b"a", b"b"])
    assert not is_secret_input([])


HARMLESS = st.text(alphabet=st.characters(blacklist_characters=":\0", blacklist_categories=["Cs"]))


@given(HARMLESS)
def test_a_text_without_the_words_that_tell_of_passwords_stays(text: str) -> None:
    small = text.lower()
    hints = ("pass", "pwd", "secret", "token", "key", "curl", "lftp", "smbclient", "7z", "openssl", "ncat", "redis-cli")
    if not any(word in small for word in (*hints, "|")):
        assert mask(text) == text


PIECES = st.one_of(
    st.sampled_from([" ", "\n", "'", '"', "\\", "=", "-", "--", "/", ":", "@", "://", "x", "pa55", "é"]),
    st.sampled_from(["password", "token=", "KEY=", "sshpass", "-p", "curl", "-u", "mysql", "plink", "-pw"]),
)


@given(st.lists(PIECES, max_size=30))
def test_masking_twice_is_masking_once(pieces: list[str]) -> None:
    once = mask("".join(pieces))
    assert mask(once) == once


@given(st.lists(st.binary(max_size=8).filter(lambda word: b"\0" not in word), max_size=8))
def test_there_are_as_many_arguments_as_before(words: list[bytes]) -> None:
    assert len(mask_words([*words, b"--password=x"])) == len(words) + 1


LONG = 1 << 16
"""As much of a message as is looked at."""


@pytest.mark.parametrize(
    "unit",
    [
        *("curl ", "|curl ", '"curl ', "curl \\", "sshpass '", ",://", "a://", "://a:", "--a", "x:y@h::"),
        *("echo a|", "a_", ",key=", "token: ", "curl -u a:", "\"'", "7z -p", '\\"', ":a_"),
    ],
)
def test_a_name_made_for_it_takes_no_time(unit: str) -> None:
    text = "pass curl :// key= | ::" + unit * (LONG // len(unit))
    started = time.process_time()
    mask(text)
    mask_words([text.encode()])
    # some 0.1 s here; what is tried again from each place takes minutes
    assert time.process_time() - started < 2


def test_of_a_line_with_too_many_commands_the_rest_is_masked() -> None:
    line = "curl -u a " * COMMANDS_AT_MOST
    assert mask(line + "x") == line + "x"
    assert mask(line + "curl -u me:pa55 x\nnext") == line + "curl ***\nnext"


def test_what_a_config_declares_secret_is_masked_wherever_it_is() -> None:
    declare("pä55")
    declare("no")
    assert mask("x pä55/y no") == "x ***/y no"
    assert mask_words([b"-x", "apä55b".encode()]) == [b"-x", b"a***b"]
    assert mask_output("said pä55\n".encode()) == b"said ***\n"
