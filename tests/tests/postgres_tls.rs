//! PostgreSQL over TLS from the binary as it is shipped: what the certificate says is checked.

use mai_mock_openrouter::{Mock, MockSettings};
use mai_tests::{gateway::Installation, postgres::Cluster};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// Who signs certificates, and its own as PEM.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A server that proves to be `host`.
    fn server(&self, host: &str) -> Cluster {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        // By the name that it has of itself, it would be taken for its own authority.
        params.distinguished_name.push(DnType::CommonName, host);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Cluster::start_with_tls(&certificate.pem(), &key.serialize_pem())
    }
}

/// What `migrate` says with these parameters of the connection: whether it succeeds, and its words.
fn migrate(server: &Cluster, mock: &Mock, parameters: &str) -> (bool, String) {
    let output = Installation::on(&server.tcp_url(parameters), mock).run(&["migrate"]);
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_server_is_believed_only_by_its_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, stranger) = (Authority::new("ours"), Authority::new("a stranger"));
    let write = |name: &str, authority: &Authority| {
        let path = folder.path().join(name);
        std::fs::write(&path, &authority.pem).unwrap();
        path.display().to_string()
    };
    let (root, other_root) = (write("root.pem", &authority), write("stranger.pem", &stranger));
    let mock = Mock::start(MockSettings::default()).unwrap();
    let (server, elsewhere) = (authority.server("localhost"), authority.server("db.example"));
    let full = |root: &str| format!("sslmode=verify-full&sslrootcert={root}");

    for (server, parameters, expected) in [
        // The server takes nothing but TLS, so what succeeds has used it.
        (&server, "sslmode=disable".to_owned(), Some("no encryption")),
        (&server, full(&root), None),
        (&server, full(&other_root), Some("certificate verify failed")),
        (&elsewhere, full(&root), Some("does not match host name")),
        (&elsewhere, format!("sslmode=verify-ca&sslrootcert={root}"), None),
    ] {
        let (succeeded, said) = migrate(server, &mock, &parameters);
        assert_eq!(succeeded, expected.is_none(), "{parameters}: {said}");
        assert!(said.contains(expected.unwrap_or_default()), "{parameters}: {said}");
    }

    // And the books are kept over it.
    let installation = Installation::on(&server.tcp_url(&full(&root)), &mock);
    installation.organization("By TLS");
    let gateway = installation.serve();
    let (ready, said) = mai_tests::run(gateway.ready());
    assert!(ready, "{said}");
    assert!(gateway.stop().success());
}
