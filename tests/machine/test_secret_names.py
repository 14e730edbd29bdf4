"""Which names are taken for keys: samples of many kinds, and as many that only look like it."""

import pytest
from hypothesis import given
from hypothesis import settings as within
from hypothesis import strategies as st

from fal_mcp.machine.secret_names import BACKUPS, LOOKED_AT, MEDIA, holds_a_key, is_secret_name

SECRET = """
id_rsa id_rsa.pub id_dsa id_ecdsa id_ed25519 id_ed25519.pub ID_RSA id_rsa.bak id_rsa.old id_rsa~ ID_RSA~1
id_rsa_work id_ed25519_sk id_rsa.png known_hosts known_hosts.old authorized_keys authorized_keys2.bak
ssh_host_rsa_key passwd passwd- passwd.bak shadow shadow.backup gshadow htpasswd htpasswd.txt netrc _netrc pgpass
kubeconfig kubeconfig.yaml kube-config kubeconfig-prod.yml server.pem server.PEM tls.key tls.key.bak server.key.bak
key.p8 AuthKey_ABC123.p8 my.p12 my.pfx my.pfx.old store.jks store.keystore debug.keystore vault.kdbx vault.kdb
work.ppk private.asc secring.gpg secret.gpg backup.pgp key.age cert.der client.ovpn app.mobileprovision
login.keychain login.keychain-db my.1pux safe.psafe3 krb5.keytab krb5.ccache host.jwk keys.jwks session.jwt
service-account.json service_account.json serviceAccount.json serviceAccountKey.json my-service-account-prod.json
client_secret.json client_secret_123.json client_secret_123.apps.googleusercontent.com.json client-secrets.json
application_default_credentials.json adc.json firebase-adminsdk-x1y2.json google-services.json
GoogleService-Info.plist token.json tokens.json token token.txt access_token.txt refresh-token.json authToken.json
github_token gitlab-token.txt hf_token huggingface_token.txt bearer_token.json slack-bot-token.txt api_token
api-token.yaml oauth2_token.json id_token.jwt api_key.txt apikey apiKey.json api-keys.csv openai_key.txt fal_key
fal-key.txt fal_api_key.env FAL_KEY.txt anthropic-key my_key.txt stripe_keys.json private_key.txt privateKey.json
privatekey signing-key.txt encryption_key.bin master_key deploy_key ssh-key aws_credentials aws_credentials.csv
credentials credentials.csv credentials.json credentials.json.bak Credentials.xml accessKeys.csv rootkey.csv
credentials.db creds.txt cred.json osccredentials s3cfg boto rclone.conf azureProfile.json accessTokens.json
msal_token_cache.json dockerconfigjson dockercfg config.token npmrc pypirc git-credentials terraform.tfstate
terraform.tfstate.backup prod.tfstate prod.tfvars terraform.tfvars.json vault-token vault_pass.txt vault_password
ansible-vault.yml secrets secrets.yaml secrets.yml secrets.json secrets.toml secrets.env my-secrets.yaml secret.txt
app.secret k8s-secret.yaml sealed-secrets.yml secrets.tar.gz secrets.zip .env .env.local prod.env prod.env.local
prod.env.bak env env.production dotenv envrc local.settings.json appsettings.json appsettings.Production.json
wp-config.php wp-config.php.bak database.yml parameters.yml gradle.properties keystore.properties web.config
password.txt passwords.csv passwords.xlsx Passwords.docx db_password root-password.txt passphrase.txt passwort.txt
MyPasswords.txt bitwarden_export_2026.json lastpass_export.csv 1password-export.csv keepass-export.xml
recovery-codes.txt backup_codes.txt recovery-phrase.txt seed-phrase.txt seed_words.txt mnemonic.txt wallet.dat
wallet.json my.wallet keystore.json cookies.txt cookies.sqlite logins.json key4.db key3.db cert9.db signons.sqlite
connection-strings.json connection_string.txt ledger.sqlite3 ledger.sqlite3-wal ledger-0123456789ab.sqlite3
ledger-0123456789ab.sqlite3-shm
""".split()
SPACED = [
    "Login Data",
    "Web Data",
    "api key.txt",
    "my passwords.txt",
    "secrets (1).yaml",
    "credentials copy.json",
    "id_rsa copy",
]
ELSEWHERE = """
contraseña.txt contraseñas.csv contrasena.txt contraseñas.xlsx mot_de_passe.txt mot-de-passe-wifi.docx motdepasse.txt
wachtwoord.txt wachtwoorden.csv senha.txt Senhas.xlsx Kennwort.txt Kennwörter.txt Passwörter.docx Zugangsdaten.txt
lösenord.txt losenord.txt hasło.txt heslo.txt adgangskode.txt passord.txt salasana.txt şifre.txt jelszó.txt
пароль.txt Пароли.docx мои_пароли.txt секрет.txt 密码.txt 密碼.txt 我的密码.txt 口令.txt 私密钥.txt パスワード.txt
パスワード一覧.csv 비밀번호.txt סיסמה.txt كلمة_السر.txt कोड-पासवर्ड.txt รหัสผ่าน.txt identifiants.csv пароль.txt.bak
""".split()
SPACED_TOO = [
    "credentials (2).json.bak",
    "server.key copy 2",
    "passwords.txt ",
    "secrets.yaml.",
    "".join(chr(ord(c) + 0xFEE0) for c in "SECRETS") + ".yaml",
]
INNOCENT = """
token_ring.png token.png tokens.jpg access_token.webp secret-garden.mp4 secret.png secrets.jpeg
top-secret-poster.png password.gif passwords.mp4 passport-photo.jpg passport.pdf credentials.png api_key.svg
keynote.pdf keynote.txt monkey.jpg monkey.txt monkeys.csv donkey.md turkey.txt turkey.csv hockey.json jockey.txt
whiskey.md keyboard.txt keyboards.csv keyframe.json keyframes.json key_frames.csv keypoints.json keypoint_scores.csv
keyword.txt keywords.csv key_visual.psd key-art.png keychain-photo.jpg keyhole.stl keyring.glb hotkeys.txt
tokenizer.json tokenizer_config.json special_tokens_map.json added_tokens.json tokenizer.model tokenization.md
environment.yml environment.txt environments.md envelope.txt envelope.wav secretary.md secretariat.txt author.txt
authors.csv oauth.md authentic.txt authority.md author_photo.jpg accredited.txt credits.txt credit.csv
credit-card-mockup.png accreditation.md passage.txt passages.json passenger.csv passengers.json compass.json
bypass.txt passion.md surpass.txt passe-partout.svg overpass.geojson walletsize.png wallet-photo.jpg
leather-wallet.webp vaulted-ceiling.jpg vault.png shadow.png shadows.txt shadow-play.mp4 foreshadow.txt cookie.txt
cookie-recipe.md cookies.jpg cookie_monster.png identity.json identity.svg idea.txt id_photo.jpg id-card.png ids.csv
server.txt service.json service.md client.json account.csv accounts.csv accountant.txt master.wav master_mix.flac
master-plan.md prompt.txt prompts.jsonl batch.jsonl arguments.json captions.csv subtitles.srt lyrics.lrc script.md
story.txt notes.txt readme.md data.json dataset.zip training_data.zip images.tar.gz photos.zip lora.safetensors
model.safetensors model.ckpt weights.bin config.json workflow.json package.json pyproject.toml settings.json
index.html style.css app.py main.ts clip.ts movie.mkv song.mp3 voice.m4a scene.glb mesh.obj hdri.exr font.ttf
logo.ai poster.psd raw.dng image.heic frame.0001.png scan.1.jpg v1.2.png backup.png copy.jpg old.txt original.jpg
holiday.jpg recovery.mp4 seed.txt seeds.csv phrase.txt phrases.csv mnemosyne.txt private.txt private-garden.jpg
public_key_visual.png signing.mp4 encryption.mp4 api.md api.json bearer.txt session.json sessions.csv github.png
deploy.md señal.txt contraste.txt parole.txt parolier.txt hasiok.txt 美しい秘密の庭.txt 音楽.txt музыка.txt passager.txt
mot.txt motif.csv sifflet.txt senhora.txt geheimnis.txt clave-de-sol.txt
""".split()
INNOCENT_SPACED = [
    "holiday copy.jpg",
    "holiday (1).jpg",
    "my secret santa.png",
    "A key moment.mp4",
    "Clé.png",
    "鍵.png",
    "Token Ring.pdf",
]


@pytest.mark.parametrize("name", SECRET + SPACED + SPACED_TOO + ELSEWHERE)
def test_what_is_a_key_by_its_name_is_taken_for_one(name: str):
    assert is_secret_name(name)


@pytest.mark.parametrize("name", INNOCENT + INNOCENT_SPACED)
def test_what_only_looks_like_a_key_is_not(name: str):
    assert not is_secret_name(name)


KEYS = [
    b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl",
    b"\n" * 10_000 + b"-----BEGIN RSA PRIVATE KEY-----\n",
    b"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n",
    b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n",
    b"export AWS_SECRET_ACCESS_KEY=wJalr\n",
    b"Access key ID,Secret access key\nAKIAIOSFODNN7EXAMPLE,wJal\n",
    b'{"SecretAccessKey": "abc"}',
    b'{"type"  :  "service_account"}'.replace(b"  :", b":"),
    b"users:\n- user:\n    client-key-data: abc\n",
    b"FAL_KEY=abc\n",
    b"fal_key = abc\n",
    b"12345678-1234-1234-1234-123456789012:" + b"ab12" * 8,
    b"machine\nghp_" + b"aB3d" * 9,
    b"OPENAI=sk-proj-" + b"aB3d" * 9,
    b"//registry.npmjs.org/:_authToken=abc\n",
    b'{"auths": {"https://index.docker.io/v1/": {"auth": "abc="}}}',
    b"# Netscape HTTP Cookie File\n",
    b"[Interface]\nPrivateKey = abc=\n",
    b"root:$6$abcdefgh$ijkl:19000:0:99999:7:::\n",
    b"\x03\xd9\xa2\x9ag\xfbK\xb5" + bytes(20),
]
NO_KEYS = [
    b"A secret garden, where the private key of the house hangs on the door.",
    b"\x89PNG\r\n\x1a\n" + bytes(60_000),
    b"prompt,seed\na pier,7\n",
    b'{"type": "image", "key": "value", "token": 5}',
    b"\xff\xfe" + "a quiet harbour".encode("utf-16-le"),
    b"1\n00:00:01,000 --> 00:00:02,000\nThe costs are $6 and $7: much.\n",
]


@pytest.mark.parametrize("number", range(len(KEYS)))
@pytest.mark.parametrize("encoding", ["", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
def test_a_key_is_known_by_what_it_is_in_any_encoding(number: int, encoding: str):
    head = KEYS[number]
    if encoding and not head.isascii():
        return
    written = head.decode("ascii").encode(encoding) if encoding else head
    assert holds_a_key(written[:LOOKED_AT])


@pytest.mark.parametrize("number", range(len(NO_KEYS)))
def test_what_holds_no_key_is_no_key(number: int):
    assert not holds_a_key(NO_KEYS[number])


def test_there_are_enough_of_both():
    assert len({*SECRET, *SPACED}) >= 200 and len({*INNOCENT, *INNOCENT_SPACED}) >= 150


@within(deadline=None)
@given(
    st.sampled_from(SECRET),
    st.lists(st.sampled_from(sorted(BACKUPS - {"enc", "sample", "example"})), max_size=3),
    st.booleans(),
)
def test_a_backup_of_a_key_is_a_key_in_any_capitals(name: str, endings: list[str], is_shouted: bool):
    if name.rsplit(".")[-1] not in MEDIA or name.startswith("id_rsa"):
        whole = ".".join([name, *endings])
        assert is_secret_name(whole.upper() if is_shouted and name == name.casefold() else whole)


@within(deadline=None)
@given(st.text(max_size=300))
def test_any_name_has_an_answer(name: str):
    assert is_secret_name(name) in (True, False)


@pytest.mark.parametrize(
    "head",
    [
        b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl",
        b"-----BEGIN RSA PRIVATE KEY-----",
        b"\n\n-----BEGIN PGP PRIVATE KEY BLOCK-----",
        b"PuTTY-User-Key-File-3: ssh-ed25519",
        b"[default]\naws_access_key_id = A\naws_secret_access_key = B",
        b'{\n  "type": "service_account",\n  "project_id": "x"}',
        b"$ANSIBLE_VAULT;1.1;AES256",
        b"# created\nAGE-SECRET-KEY-1QQ",
    ],
)
def test_a_key_under_another_name_is_known_by_its_beginning(head: bytes):
    assert holds_a_key(head) and not holds_a_key(b"\x89PNG\r\n\x1a\n" + bytes(LOOKED_AT) + head)
