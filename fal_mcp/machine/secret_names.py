"""Which files are keys, by their names and first bytes. One table, from which the documentation is made too.

A name is taken as written by anybody: capitals, backups and copies make no difference. Words decide only where the
file is no picture, film, sound or other medium: `secret-garden.png` is a picture, `secrets.yaml` is not.
"""

import itertools
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of name that is refused, and in what sense its words are meant."""

    about: str
    how: str
    words: frozenset[str]


def _rule(about: str, how: str, words: str) -> Rule:
    return Rule(about, how, frozenset(words.split()))


NAMES = _rule(
    "Whole names, with any ending or none",
    "stem",
    "id_rsa id_dsa id_ecdsa id_ed25519 id_ecdsa_sk id_ed25519_sk id_xmss known_hosts authorized_keys "
    "authorized_keys2 ssh_host_rsa_key rootkey rootkeys passwd shadow gshadow sudoers master.passwd ntds htpasswd "
    "htaccess htdigest netrc _netrc pgpass pg_service my.cnf mylogin kubeconfig kube-config kube.config admin.conf "
    "terraform.tfvars terraform.tfstate tfstate tfvars token tokens secret secrets credential credentials creds "
    "cred key keys apikey apikeys password passwords passwort passphrase wallet.dat wallet keyring keychain "
    "login.keychain keystore truststore auth0_token accesstokens azureprofile osccredentials msal_token_cache s3cfg "
    "boto rclone passwd-s3fs dockercfg dockerconfigjson npmrc pypirc yarnrc gemrc git-credentials gitcredentials "
    "cargo-credentials nuget.config settings-security gradle.properties keystore.properties signing.properties "
    "local.settings appsettings wp-config database.yml parameters.yml web.config google-services googleservice-info "
    "adc application_default_credentials legacy_credentials credentials.db access_tokens.db logins key3 key4 cert8 "
    "cert9 signons cookies login-data web-data nssdb vault-token vault_pass vault-pass ansible-vault env dotenv "
    "envrc secring pubring trustdb random_seed fal_key fal-key falkey mnemonic seedphrase keyfile key-file "
    "private-key",
)
ENDINGS = _rule(
    "Endings, before any ending of a backup",
    "ending",
    "pem key p8 p12 pfx pkcs8 pkcs12 pk8 jks jceks bks keystore truststore kdb kdbx psafe3 ppk asc gpg pgp age der "
    "keychain keychain-db agilekeychain opvault 1pux kwallet ovpn mobileprovision rdp jwk jwks jwt env envrc "
    "tfstate tfvars kubeconfig secret secrets token tokens creds credential credentials password passwd htpasswd "
    "netrc pgpass wallet vault auth kdc keytab ccache shadow",
)
WORDS = _rule(
    "Words anywhere in the name of a file that is no medium",
    "word",
    "password passwords passwd passwort passphrase secret secrets credential credentials creds kubeconfig tfstate "
    "htpasswd netrc apikey apikeys privatekey privkey secretkey sshkey accesskey accesskeys authtoken accesstoken "
    "refreshtoken keystore truststore keyring mnemonic seedphrase adminsdk serviceaccount",
)
PAIRS: tuple[tuple[frozenset[str], frozenset[str]], ...] = (
    (
        frozenset(
            "api app private priv secret ssh gpg pgp rsa dsa ec ecdsa ed25519 signing sign encryption master deploy "
            "host access account admin root ca server client service storage wallet recovery fal openai anthropic "
            "google aws gcp azure github gitlab stripe ssl tls license my prod production staging "
            "dev jwt session".split()
        ),
        frozenset("key keys".split()),
    ),
    (
        frozenset(
            "access refresh auth oauth oauth2 bearer api id session bot github gitlab slack discord telegram npm pypi "
            "hf huggingface vault fal openai anthropic google user service personal deploy jwt csrf "
            "my prod login".split()
        ),
        frozenset("token tokens".split()),
    ),
    (frozenset(["service"]), frozenset(["account", "accounts"])),
    (frozenset("seed recovery backup".split()), frozenset("phrase phrases codes code words".split())),
    (frozenset(["connection"]), frozenset(["string", "strings"])),
    (frozenset("bitwarden lastpass 1password onepassword dashlane keepass keeper".split()), frozenset(["export"])),
)
"""Two words one after the other, in the name of a file that is no medium."""
BACKUPS = frozenset(
    "bak backup bck old orig original save saved swp swo tmp temp copy dist sample example local prev "
    "previous rej disabled enc gz bz2 xz zst zip tar tgz 7z 0 1 2 3 4 5 6 7 8 9".split()
)
"""Endings that hide the ending which counts."""
MEDIA = frozenset(
    "png jpg jpeg jpe jfif webp gif bmp tif tiff heic heif avif svg ico psd exr hdr tga dng cr2 nef arw raw "
    "jp2 jxl mp4 m4v mov mkv webm avi mpg mpeg wmv flv 3gp ogv mts m2ts mp3 wav flac ogg oga opus m4a aac aif "
    "aiff wma mid midi amr glb gltf obj fbx stl usdz usd ply dae blend 3mf pdf epub srt vtt ass lrc ttf otf "
    "woff woff2 safetensors ckpt pt pth onnx gguf npy npz".split()
)
"""Endings of what models take and make; words in such names mean nothing."""
WORDS_ELSEWHERE = _rule(
    "The same in other languages, with or without their marks",
    "word",
    "contraseña contraseñas motdepasse wachtwoord wachtwoorden senha senhas kennwort kennworte kennwörter passwörter "
    "zugangsdaten lösenord hasło hasła heslo hesla adgangskode adgangskoder passord salasana salasanat lozinka lozinke "
    "jelszó jelszavak parolă şifre şifreler slaptažodis parool identifiants",
)
ANYWHERE_ELSEWHERE = _rule(
    "And in scripts that set words apart otherwise, anywhere in such a name",
    "part",
    "парол секрет κωδικός 密码 密碼 口令 秘钥 密钥 密鑰 金鑰 パスワード 暗証番号 秘密鍵 비밀번호 패스워드 암호 "
    "סיסמה סיסמא סיסמאות كلمة-السر كلمة-المرور पासवर्ड รหัสผ่าน",
)
BEGINNINGS = (
    b"PRIVATE KEY-----",
    b"PRIVATE KEY ----",
    b"PRIVATE KEY BLOCK-----",
    b"PuTTY-User-Key-File-",
    b"openssh-key-v1",
    b"AGE-SECRET-KEY-1",
    b"aws_secret_access_key",
    b"Access key ID,Secret access key",
    b'"SecretAccessKey"',
    b'"private_key"',
    b'"type": "service_account"',
    b"$ANSIBLE_VAULT;",
    b"client-key-data:",
    b"# Netscape HTTP Cookie File",
    b":_authToken=",
    b'"terraform_version":',
    b"[Interface] PrivateKey =",
    b'"auths": {',
    b"FAL_KEY=",
)
"""What the beginning of a key has in it, whatever its name, its capitals, its spaces and its way of writing letters as
bytes."""
TOKENS = (
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}:[0-9a-z]{16,}",
    r"gh[pousr]_[0-9A-Za-z]{36}",
    r"github_pat_[0-9A-Za-z_]{40,}",
    r"glpat-[0-9A-Za-z_-]{20,}",
    r"sk-(?:proj|ant|or|live|svcacct)-[0-9A-Za-z_-]{20,}",
    r"sk_live_[0-9A-Za-z]{20,}",
    r"xox[abprs]-[0-9A-Za-z-]{20,}",
    r"npm_[0-9A-Za-z]{36}",
    r"hf_[0-9A-Za-z]{34}",
    r"AIza[0-9A-Za-z_-]{35}",
    r":\$[0-9a-z]{1,2}\$[^:\s]{8,}:",
)
"""Forms of keys that are kept as they are: fal's own and those of well-known services, and the system's passwords."""
STARTS = (b"\x03\xd9\xa2\x9a", b"\xfe\xed\xfe\xed", b"\xce\xce\xce\xce")
"""The first bytes of stores of keys: KeePass and Java."""
LOOKED_AT = 65_536
"""Bytes of a file's beginning in which these are looked for."""

_PREFIXES = ("id_rsa", "id_dsa", "id_ecdsa", "id_ed25519")
_VALUES = (".txt", ".secret", ".token")
_LEDGER = re.compile(r"ledger(-[0-9a-f]+)?\.sqlite3")
_COPY = re.compile(r"(?:[ _-]*\(\d+\)|[ _-]+(?:copy|kopie)(?:[ _-]*\d+)?|~\d*)$")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NOT_WORDS = re.compile(r"[^a-z0-9]+")
_NOT_LETTERS = re.compile(r"[\W\d_]+")
_BETWEEN = re.compile(r"[\s_-]+")
_SPACES = bytes(range(33))
_SQUEEZED = tuple(beginning.lower().translate(None, _SPACES) for beginning in BEGINNINGS)
_TOKEN = re.compile("|".join(TOKENS).encode(), re.ASCII)


def is_secret_name(name: str) -> bool:
    """Whether a file of this name is taken for a key."""
    # Letters that look the same are the same here, and Windows drops dots and spaces at the end: `id_rsa.` opens
    # `id_rsa`.
    whole = unicodedata.normalize("NFKC", name).rstrip(". ")
    bare, ending = _without_backups(whole)
    plain = bare.casefold()
    # Before the media: `id_rsa.png` is a key that somebody renamed rather than a picture.
    if plain.startswith(_PREFIXES) or _LEDGER.match(plain):
        return True
    if ending in MEDIA:
        return False
    stem = plain.removesuffix(f".{ending}") if ending else plain
    return (
        ending in ENDINGS.words
        or _joined(plain) in NAMES.words
        or _joined(stem) in NAMES.words
        # The part before the first dot too: `env.production` and `credentials.prod.json` are what their beginning
        # says.
        or any(part in NAMES.words for part in (stem.split(".")[0], plain.split(".")[0]) if part)
        or _says_so(bare)
    )


def may_hold_a_value(name: str) -> bool:
    """Whether a file of this name may be what somebody put one secret's value in, to be sent as a secret."""
    plain = name.casefold()
    return plain.endswith(_VALUES) and not plain.startswith(_PREFIXES)


def holds_a_key(head: bytes) -> bool:
    """Whether a file that begins so is a key, whatever its name."""
    # Letters of two bytes are letters with nothing beside them, and what is no letter sets none apart.
    plain = head[:LOOKED_AT].replace(b"\0", b"")
    squeezed = plain.lower().translate(None, _SPACES)
    return head.startswith(STARTS) or any(part in squeezed for part in _SQUEEZED) or bool(_TOKEN.search(plain))


def _without_backups(name: str) -> tuple[str, str]:
    """The name without the endings of backups and copies, and the ending that is left, in small letters."""
    # Until nothing comes off any more: `id_rsa.bak.gz`, `token (1).txt~` and the like carry several.
    while True:
        bare = _COPY.sub("", name.strip().lstrip("#").rstrip("#~")).rstrip(". ")
        stem, dot, ending = bare.rpartition(".")
        stem_copy = _COPY.sub("", stem)
        if dot and ending.casefold() in BACKUPS and stem_copy:
            name = stem_copy
        elif dot and stem_copy != stem:
            name = f"{stem_copy}.{ending}"
        elif bare == name:
            return bare, ending.casefold() if dot else ""
        else:
            name = bare


def _joined(name: str) -> str:
    return name.replace(" ", "-")


def _says_so(name: str) -> bool:
    if _says_so_elsewhere(name.casefold()):
        return True
    # Words and not letters in a row: `monkey.txt` has "key" in it, and `tokenizer.json` "token".
    words = [word for word in _NOT_WORDS.split(_CAMEL.sub(" ", name).casefold()) if word]
    # `password2` and `secret01` are numbered, and no other word.
    if any(word.rstrip("0123456789") in WORDS.words for word in words):
        return True
    return any(
        first in firsts and second in seconds
        for first, second in itertools.pairwise(words)
        for firsts, seconds in PAIRS
    )


def _says_so_elsewhere(name: str) -> bool:
    words = [word for word in _NOT_LETTERS.split(_without_marks(name)) if word]
    if not _ELSEWHERE.isdisjoint(words) or any("".join(three) == "motdepasse" for three in _threes(words)):
        return True
    joined = _BETWEEN.sub("-", _without_marks(name))
    return any(part in joined for part in _PARTS_ELSEWHERE)


def _threes(words: list[str]) -> Iterator[tuple[str, ...]]:
    return (tuple(words[start : start + 3]) for start in range(len(words) - 2))


def _without_marks(text: str) -> str:
    """Letters without their accents, as people write them where a keyboard has none."""
    return "".join(part for part in unicodedata.normalize("NFKD", text) if not unicodedata.combining(part))


_ELSEWHERE = frozenset(map(_without_marks, WORDS_ELSEWHERE.words))
_PARTS_ELSEWHERE = tuple(map(_without_marks, ANYWHERE_ELSEWHERE.words))
