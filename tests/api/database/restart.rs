//! The database stops and comes back (A15), with a server of this test's own.

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ecrm::config::Config;
use ecrm::db::embedded::{DATABASE, Embedded, Options, Role};
use ecrm::db::migrate;
use ecrm::http::server::Surface;
use serde_json::json;

use crate::harness::Client;

/// Serves until the test binary ends.
pub fn serve(state: ecrm::app::App, socket: TcpListener) {
    std::thread::spawn(move || {
        actix_rt::System::new()
            .block_on(async { ecrm::http::server::build(state, socket, Surface::Api)?.await })
            .expect("a server");
    });
}

fn start(folder: &std::path::Path) -> Embedded {
    let options = Options { data_dir: folder, durable: false };
    Embedded::start(&options).unwrap_or_else(|error| panic!("{error}"))
}

fn client(embedded: &Embedded) -> Client {
    migrate::run(&embedded.url(Role::Owner, DATABASE)).expect("migrations");
    let lookup = |name: &str| match name {
        "ECRM_JWT_SECRET" => Some("a secret of the test suite, 32 bytes and more".into()),
        "ECRM_MASTER_KEY" => Some("00".repeat(32)),
        "ECRM_DEV" => Some("1".into()),
        _ => None,
    };
    let config = Config::from_lookup(&lookup).expect("settings");
    let state = ecrm::app::App::new(config, &embedded.url(Role::App, DATABASE)).expect("an app");
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let base = format!("http://{}", socket.local_addr().expect("an address"));
    serve(state.clone(), socket);
    let slug = format!("t-{}", uuid::Uuid::new_v4().simple());
    let body = json!({ "name": slug, "slug": slug });
    let made = ecrm::cli::keys::make_workspace(&state, &body).expect("a workspace");
    let options = ecrm::cli::keys::KeyOptions {
        name: "test".into(),
        kind: ecrm::auth::key::KeyKind::Secret,
        scopes: vec!["*".into()],
        livemode: true,
    };
    let token = ecrm::cli::keys::make_key(&state, &slug, &options).expect("a key");
    Client { base, token: Some(token), workspace_id: made.id, slug }
}

/// A15
#[test]
fn a_service_survives_the_restart_of_its_database() {
    let folder = format!("restarted-{}", std::process::id());
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(folder);
    let embedded = start(&folder);
    let client = client(&embedded);
    client.post("/v1/customers", json!({ "first_name": "Ada" })).expect(201);
    client.get("/health/ready").expect(200);
    drop(embedded);
    client.get("/health/live").expect(200);
    client.get("/health/ready").expect(503);
    let refused = client.get("/v1/customers").expect(503);
    assert_eq!(refused.headers["retry-after"], "1");
    let embedded = start(&folder);
    let back = Instant::now();
    while client.get("/health/ready").status != 200 {
        assert!(back.elapsed() < Duration::from_secs(5), "not ready after {:?}", back.elapsed());
    }
    let list = client.get("/v1/customers").expect(200);
    assert_eq!(list.json["data"][0]["first_name"], "Ada");
    client.post("/v1/customers", json!({ "first_name": "Eva" })).expect(201);
    drop(embedded);
    std::fs::remove_dir_all(&folder).expect("nothing is left");
}
