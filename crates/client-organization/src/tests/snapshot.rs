use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use mai_global_settings::MasterKey;
use mai_primitives::Usd;
use proptest::prelude::*;
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};
use tempfile::TempDir;

use super::{Fixture, at, each, organization, rate, user};
use crate::{
    Change, ClientOrganizationForm, ClientOrganizationPatch, Directory, IdentitySecret, LimitSubject, Limits,
    NewGatewayKey, SnapshotError, UserClientMappingForm, snapshot,
    stored::{SealedSecrets, StoredDirectory, StoredKey, StoredOrganization},
};

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("directory");
    (folder, path)
}

const IDENTITY_SECRET: &str = "an-identity-secret-that-is-long-enough";

/// Two organizations, keys of each kind, a member, and the keys in clear.
async fn filled(fixture: &Fixture) -> Vec<SecretString> {
    for id in ["A", "B"] {
        let form = ClientOrganizationForm {
            id: Some(organization(id)),
            name: format!("Żółw {id}"),
            openrouter_api_key: Some(format!("sk-or-v1-{id}").into()),
            timezone: Some("America/New_York".into()),
            drain_on_disconnect: id == "B",
            site_url: (id == "B").then(|| "https://b.example".into()),
            ..Default::default()
        };
        fixture.organizations.create(form).await.unwrap();
    }
    let own = ClientOrganizationPatch { markup_rate: Change::Set(rate("1.234567")), ..Default::default() };
    fixture.organizations.update(&organization("A"), own).await.unwrap();
    fixture.organizations.deactivate(&organization("B")).await.unwrap();
    let form = UserClientMappingForm {
        user_id: user("u \"1\""),
        client_org_id: organization("A"),
        openrouter_user_id: None,
    };
    fixture.mappings.create_mapping(form).await.unwrap();
    let mut keys = Vec::new();
    for trusted in [false, true] {
        let new = NewGatewayKey {
            name: "k".into(),
            user_id: trusted.then(|| user("u \"1\"")),
            is_trusted_client: trusted,
            is_open_webui: trusted,
            identity_secret: trusted.then(|| IDENTITY_SECRET.into()),
            requests_per_minute: trusted.then_some(77),
            expires_at: trusted.then(|| at(5_000)),
        };
        keys.push(fixture.gateway_keys.create(&organization("A"), new).await.unwrap());
    }
    fixture.gateway_keys.revoke(&organization("A"), &keys[0].model.id).await.unwrap();
    keys.into_iter().map(|key| key.key).collect()
}

/// Whether a key makes the signatures of this secret.
fn is_of(key: &hmac::Key, secret: &str) -> bool {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), b"text");
    hmac::verify(key, b"text", tag.as_ref()).is_ok()
}

/// Everything that a directory knows, secrets in clear, in an order that stays.
fn known(directory: &Directory, keys: &[SecretString]) -> String {
    let mut organizations: Vec<_> = directory.organizations().collect();
    organizations.sort_by(|one, other| one.id.cmp(&other.id));
    let clear = |key: &Option<SecretString>| key.as_ref().map(|key| key.expose_secret().to_owned());
    let organizations: Vec<_> =
        organizations.iter().map(|one| format!("{one:?} {:?}", clear(&one.provider_key))).collect();
    let keys: Vec<_> = keys.iter().map(|key| directory.find_key(key.expose_secret())).collect();
    assert!(keys.iter().all(Option::is_some));
    format!("{} {organizations:?} {keys:?}", directory.revision)
}

#[test]
fn what_is_read_back_is_what_was_written_and_holds_no_secret_in_clear() {
    each(async |fixture| {
        let keys = filled(fixture).await;
        let (_folder, path) = folder();
        let written = fixture.directory();
        snapshot::save(&path, &written, &fixture.master_key, at(7)).unwrap();
        let read = snapshot::load(&path, &fixture.master_key).unwrap().unwrap();
        assert_eq!(known(&read.directory, &keys), known(&written, &keys));
        assert_eq!(read.written_at, at(7));
        let signed = read.directory.find_key(keys[1].expose_secret()).unwrap();
        assert!(matches!(&signed.identity_secret, IdentitySecret::Set(key) if is_of(key, IDENTITY_SECRET)));
        let text = fs::read_to_string(&path).unwrap();
        for secret in
            ["sk-or-v1-A", "sk-or-v1-B", keys[0].expose_secret(), keys[1].expose_secret(), IDENTITY_SECRET]
        {
            assert!(!text.contains(secret), "{secret}");
        }
        // The sealed ones come through as well, so that a snapshot of a snapshot is as good.
        snapshot::save(&path, &read.directory, &fixture.master_key, at(8)).unwrap();
        let again = snapshot::load(&path, &fixture.master_key).unwrap().unwrap();
        assert_eq!(known(&again.directory, &keys), known(&written, &keys));
    });
}

/// A directory that needs no database.
fn small(name: &str, master_key: &MasterKey) -> Directory {
    let id = organization("A");
    let sealed = master_key.seal("client_organizations/openrouter_api_key/A", &"sk-or-1".into()).unwrap();
    let organizations = vec![StoredOrganization {
        id: id.clone(),
        name: name.into(),
        is_active: true,
        timezone: "Europe/Warsaw".into(),
        markup_rate: rate("1.3"),
        provider_key_fingerprint: None,
        provider_key_last4: None,
        sealed: SealedSecrets { provider_key: Some(sealed), webhook_secret: None },
        drain_on_disconnect: false,
        site_url: None,
        openrouter_user_ids: [].into(),
        inactive_users: [].into(),
        limits: Limits::new(
            Some(Usd::from_nanos(7)),
            [(LimitSubject::Member(user("u")), Usd::from_nanos(3))],
        ),
    }];
    let keys = vec![StoredKey {
        hash: crate::digest::sha256_hex("sk-mai-1"),
        id: "key_1".into(),
        organization: id,
        user_id: None,
        is_trusted_client: false,
        is_open_webui: false,
        identity_secret: None,
        requests_per_minute: None,
        expires_at: None,
        revoked: false,
    }];
    Directory::open(StoredDirectory { revision: 3, organizations, keys }, master_key)
}

fn saved(path: &Path) -> MasterKey {
    let key = MasterKey::generate().unwrap();
    snapshot::save(path, &small("Alfa", &key), &key, at(1)).unwrap();
    key
}

fn name_of(path: &Path, key: &MasterKey) -> String {
    let read = snapshot::load(path, key).unwrap().unwrap();
    read.directory.find_key("sk-mai-1").unwrap().organization.name.clone()
}

#[test]
fn the_file_belongs_to_its_owner_and_is_replaced_as_a_whole() {
    let (folder, path) = folder();
    assert!(snapshot::load(&path, &MasterKey::generate().unwrap()).unwrap().is_none());
    let key = saved(&path);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    // Left behind by a crash, and readable by everybody.
    let unfinished = path.with_extension("unfinished");
    fs::write(&unfinished, "half").unwrap();
    fs::set_permissions(&unfinished, fs::Permissions::from_mode(0o644)).unwrap();
    snapshot::save(&path, &small("Beta", &key), &key, at(2)).unwrap();
    assert_eq!(name_of(&path, &key), "Beta");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);

    // A snapshot that cannot be written leaves the former one as it was.
    fs::create_dir(&unfinished).unwrap();
    let error = snapshot::save(&path, &small("Gamma", &key), &key, at(3)).unwrap_err();
    assert!(matches!(error, SnapshotError::Io { what: "write", .. }), "{error}");
    assert_eq!(name_of(&path, &key), "Beta");
}

#[test]
fn a_snapshot_of_another_master_key_or_version_says_so() {
    let (_folder, path) = folder();
    let key = saved(&path);
    let other = MasterKey::generate().unwrap();
    let error = snapshot::load(&path, &other).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, SnapshotError::OtherMasterKey { .. }), "{text}");
    assert!(text.contains(&key.id()) && text.contains(&other.id()), "{text}");

    let written = fs::read_to_string(&path).unwrap();
    fs::write(&path, written.replacen("mai-directory 1 ", "mai-directory 2 ", 1)).unwrap();
    let error = snapshot::load(&path, &key).unwrap_err();
    assert!(matches!(&error, SnapshotError::OtherVersion { version, .. } if version == "2"), "{error}");
}

/// What the program wrote before keys had more attributes than this.
#[test]
fn a_snapshot_of_an_earlier_program_is_read() {
    let (_folder, path) = folder();
    let key = MasterKey::generate().unwrap();
    let content = r#"{"written_at":1,"directory":{"revision":3,"organizations":[{"id":"A","name":"Alfa","is_active":true,
        "timezone":"Europe/Warsaw","markup_rate":1300000,"provider_key_fingerprint":null,"provider_key_last4":null,
        "sealed":{"provider_key":null,"webhook_secret":null},"drain_on_disconnect":false,"openrouter_user_ids":{}}],
        "keys":[{"hash":"HASH","id":"key_1","organization":"A","user_id":null,"is_trusted_client":true,
        "expires_at":null,"revoked":false}]}}"#;
    let content = content.replace("HASH", &crate::digest::sha256_hex("sk-mai-1")).replace('\n', " ");
    let checksum = crate::digest::sha256_hex(&content);
    fs::write(&path, format!("mai-directory 1 {} {checksum}\n{content}\n", key.id())).unwrap();
    let read = snapshot::load(&path, &key).unwrap().unwrap();
    let entry = read.directory.find_key("sk-mai-1").unwrap();
    assert!(entry.is_trusted_client && !entry.is_open_webui);
    assert!(matches!(entry.identity_secret, IdentitySecret::NotSet));
    assert_eq!((entry.requests_per_minute, entry.organization.site_url.as_deref()), (None, None));
    assert!(entry.organization.inactive_users.is_empty());
}

#[test]
fn who_is_inactive_is_known_without_the_database() {
    let (_folder, path) = folder();
    let key = MasterKey::generate().unwrap();
    let mut stored = small("Alfa", &key).stored();
    stored.organizations[0].inactive_users = [user("anna")].into();
    snapshot::save(&path, &Directory::open(stored, &key), &key, at(1)).unwrap();
    let read = snapshot::load(&path, &key).unwrap().unwrap();
    let entry = read.directory.find_key("sk-mai-1").unwrap();
    assert_eq!(entry.organization.inactive_users, [user("anna")].into());
}

#[test]
fn a_secret_that_does_not_open_is_not_forgotten() {
    let (_folder, path) = folder();
    let key = MasterKey::generate().unwrap();
    let mut stored = small("Alfa", &key).stored();
    stored.keys[0].identity_secret = Some("v1:00000000:AAAA".into());
    let directory = Directory::open(stored, &key);
    let is_unreadable = |directory: &Directory| {
        let entry = directory.find_key("sk-mai-1").unwrap();
        matches!(entry.identity_secret, IdentitySecret::Unreadable)
    };
    assert!(is_unreadable(&directory));
    snapshot::save(&path, &directory, &key, at(1)).unwrap();
    assert!(is_unreadable(&snapshot::load(&path, &key).unwrap().unwrap().directory));
}

proptest! {
    #[test]
    fn no_damage_goes_unnoticed(at: prop::sample::Index, to: u8, cut: prop::sample::Index, cuts: bool) {
        let (_folder, path) = folder();
        let key = saved(&path);
        let written = fs::read(&path).unwrap();
        let mut damaged = written.clone();
        let place = at.index(written.len());
        damaged[place] = to;
        if cuts {
            damaged.truncate(cut.index(written.len()));
        }
        prop_assume!(damaged != written);
        fs::write(&path, &damaged).unwrap();
        prop_assert!(snapshot::load(&path, &key).is_err());
    }
}
