//! The service under test and a client that believes nothing.
//!
//! One server and one database, cloned from a migrated template, serve the whole test binary; each
//! test makes a workspace of its own ([`workspace`]). Policies in that database raise an error when
//! a statement touches a row of another workspace. Every answer that any test receives is held
//! against the OpenAPI document: an undocumented status, or a property missing or too many, fails
//! the test. Tests that look across workspaces take a server of their own ([`App::alone`]).

use std::collections::{BTreeMap, HashMap};
use std::net::TcpListener;
use std::sync::{LazyLock, Mutex};

use actix_web::dev::ServerHandle;
use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::{Connection, RunQueryDsl};
use ecrm::auth::key::KeyKind;
use ecrm::cli::keys;
use ecrm::config::Config;
use ecrm::db::embedded::{Embedded, Options, Role};
use ecrm::db::{Actor, Session, migrate};
use ecrm::http::server::Surface;
use serde_json::{Value, json};
use uuid::Uuid;

pub const OPERATOR_TOKEN: &str = "operator-token-of-the-test-suite-0123456789";

/// A running service.
pub struct App {
    pub base: String,
    pub state: ecrm::app::App,
    pub owner_url: String,
    server: ServerHandle,
}

/// A service of one test ends with it, and so do its connections.
impl Drop for App {
    fn drop(&mut self) {
        self.state.drain();
        drop(self.server.stop(false));
    }
}

static SHARED: LazyLock<App> = LazyLock::new(|| App::start(&[]));
/// Where the owner of each service's database connects to.
static OWNERS: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());
static SERVER: LazyLock<Server> = LazyLock::new(Server::start);

/// A new workspace in the shared service and a key with all scopes.
pub fn workspace() -> Client {
    App::shared().workspace(&["*"])
}

/// A new workspace in the shared service and a key with these scopes.
pub fn workspace_with(scopes: &[&str]) -> Client {
    App::shared().workspace(scopes)
}

impl App {
    pub fn shared() -> &'static Self {
        &SHARED
    }

    /// A service with a database of its own and some settings changed.
    pub fn alone(settings: &[(&str, &str)]) -> Self {
        Self::start(settings)
    }

    fn start(settings: &[(&str, &str)]) -> Self {
        let database = format!("ecrm_test_{}", Uuid::new_v4().simple());
        let (url, owner_url) = SERVER.clone_template(&database);
        let lookup = |name: &str| {
            let own = settings.iter().find(|(known, _)| *known == name);
            own.map(|(_, value)| (*value).to_owned()).or_else(|| match name {
                "DATABASE_URL" => Some(url.clone()),
                "ECRM_JWT_SECRET" => Some("a secret of the test suite, 32 bytes and more".into()),
                "ECRM_MASTER_KEY" => Some("00".repeat(32)),
                "ECRM_OPERATOR_TOKEN" => Some(OPERATOR_TOKEN.into()),
                "ECRM_DEV" => Some("1".into()),
                "ECRM_RATE_LIMIT_PER_KEY" | "ECRM_RATE_LIMIT_PER_IP" | "ECRM_RATE_LIMIT_AUTH" => {
                    Some("10000000".into())
                }
                "ECRM_WORKERS" => Some("2".into()),
                "DATABASE_POOLER" => pooler().map(|_| "transaction".into()),
                _ => None,
            })
        };
        let mut config = Config::from_lookup(&lookup).expect("settings");
        // It is told by a session setting, which behind a pooler would reach other sessions.
        config.tripwire = pooler().is_none();
        let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let base = format!("http://{}", socket.local_addr().expect("an address"));
        let state = ecrm::app::App::new(config, &url).expect("an app");
        let served = state.clone();
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let serve = async {
                let server = ecrm::http::server::build(served, socket, Surface::Api)?;
                tell.send(server.handle()).expect("somebody waits");
                server.await
            };
            actix_rt::System::new().block_on(serve).expect("a server");
        });
        let server = told.recv().expect("a server");
        let mut owners = OWNERS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        owners.insert(base.clone(), owner_url.clone());
        Self { base, state, owner_url, server }
    }

    /// What another process on the same database would have.
    pub fn twin(&self) -> ecrm::app::App {
        let config = self.state.config.clone();
        let url = config.database_url.clone().expect("a database");
        ecrm::app::App::new(config, &url).expect("an app")
    }

    /// What a process would have whose clock is an hour ahead of the database's: it is the database
    /// that is behind.
    pub fn ahead(&self) -> ecrm::app::App {
        let mut pg = self.owner();
        pg.batch_execute(
            "create schema behind;
             grant usage on schema behind to ecrm_app;
             create function behind.now() returns timestamptz language sql stable
                 as $$ select pg_catalog.now() - interval '1 hour' $$;
             do $$ begin
                 execute format('alter role ecrm_app in database %I
                                 set search_path = behind, pg_catalog, public', current_database());
             end $$",
        )
        .expect("another clock");
        self.twin()
    }

    /// A new workspace with a key of these scopes.
    pub fn workspace(&self, scopes: &[&str]) -> Client {
        let slug = format!("t-{}", Uuid::new_v4().simple());
        let body = json!({ "name": slug, "slug": slug });
        let made = keys::make_workspace(&self.state, &body).expect("a workspace");
        let mut client =
            Client { base: self.base.clone(), token: None, workspace_id: made.id, slug };
        client.token = Some(self.key(&client, scopes, true));
        client
    }

    /// The service's own session in the client's workspace.
    pub fn session(&self, client: &Client, livemode: bool) -> Session {
        let found = self.state.db.system(|pg| ecrm::workspaces::find_by_slug(pg, &client.slug));
        found.expect("a workspace").session(livemode, Actor::SYSTEM, "test".into())
    }

    /// Another key of the client's workspace.
    pub fn key(&self, client: &Client, scopes: &[&str], livemode: bool) -> String {
        let options = keys::KeyOptions {
            name: "test".into(),
            kind: KeyKind::Secret,
            scopes: scopes.iter().map(ToString::to_string).collect(),
            livemode,
        };
        keys::make_key(&self.state, &client.slug, &options).expect("a key")
    }

    /// A connection that sees everything, for looking behind the API.
    pub fn owner(&self) -> PgConnection {
        PgConnection::establish(&self.owner_url).expect("a connection")
    }

    /// One number per table: equal before and after means that nothing was written. Without the order
    /// of what is in the log already, which anybody may bring forward at any time.
    pub fn checksums(&self) -> Vec<(String, i64)> {
        #[derive(diesel::QueryableByName)]
        struct Row {
            #[diesel(sql_type = diesel::sql_types::Text)]
            name: String,
        }
        let mut pg = self.owner();
        let tables: Vec<Row> = diesel::sql_query(
            "select relname::text as name from pg_class join pg_namespace n on n.oid = relnamespace
              where nspname = 'public' and relkind in ('r', 'p') and not relispartition
                and relname not like '\\_\\_%'
                and relname not in ('changes', 'feed_heads', 'outbox') order by 1",
        )
        .load(&mut pg)
        .expect("tables");
        let sums = tables.iter().map(|Row { name }| {
            format!(
                "select '{name}' as name, coalesce(sum(hashtextextended(t::text, 0)::numeric
                   % 1000000007), 0)::bigint as sum from {name} t"
            )
        });
        sums_of(&mut pg, sums)
    }
}

/// The sum that each of these statements makes of a table.
pub fn sums_of(
    pg: &mut PgConnection,
    statements: impl Iterator<Item = String>,
) -> Vec<(String, i64)> {
    #[derive(diesel::QueryableByName)]
    struct Sum {
        #[diesel(sql_type = diesel::sql_types::Text)]
        name: String,
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        sum: i64,
    }
    let all = statements.collect::<Vec<_>>().join(" union all ");
    let sums: Vec<Sum> = diesel::sql_query(format!("{all} order by 1")).load(pg).expect("sums");
    sums.into_iter().map(|Sum { name, sum }| (name, sum)).collect()
}

/// Address of a transaction pooler in front of `DATABASE_URL`, through which the service then goes
/// (`tests/pooler/run`); the suite itself looks behind it.
fn pooler() -> Option<String> {
    std::env::var("ECRM_TEST_POOLER").ok().filter(|address| !address.is_empty())
}

/// What `docs/operations.md` gives the role behind a pooler, and a tripwire that lets all pass.
const BEHIND_POOLER: [&str; 6] = [
    "statement_timeout = '5s'",
    "lock_timeout = '3s'",
    "idle_in_transaction_session_timeout = '10s'",
    "timezone = 'UTC'",
    "jit = off",
    "ecrm.workspaces = '*'",
];

/// The Postgres of the suite: `DATABASE_URL` where it is set (a superuser), else a private one.
struct Server {
    embedded: Option<Embedded>,
    foreign: Option<url::Url>,
    template: String,
}

impl Server {
    fn start() -> Self {
        crate::statements::watch_connections();
        if std::env::var_os("TEST_LOG").is_some() {
            ecrm::logging::init(ecrm::logging::Format::Text);
        }
        let foreign = std::env::var("DATABASE_URL").ok().filter(|url| !url.is_empty());
        let foreign = foreign.map(|url| url.parse::<url::Url>().expect("DATABASE_URL is a URL"));
        let embedded = foreign.is_none().then(|| {
            let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("postgres");
            let options = Options { data_dir: &folder, durable: false };
            let embedded = Embedded::start(&options).unwrap_or_else(|error| panic!("{error}"));
            stop_after_us(embedded.data_dir());
            embedded
        });
        let mut server = Self { embedded, foreign, template: String::new() };
        server.template = server.prepare_template();
        server
    }

    fn url(&self, role: Role, database: &str) -> String {
        if let Some(embedded) = &self.embedded {
            return embedded.url(role, database);
        }
        let mut url = self.foreign.clone().expect("one of the two");
        url.set_path(database);
        if role == Role::App {
            url.set_username("ecrm_app").expect("a user name");
            url.set_password(Some("ecrm_test")).expect("a password");
        }
        url.to_string()
    }

    fn admin(&self) -> PgConnection {
        PgConnection::establish(&self.url(Role::Owner, "postgres")).expect("an admin connection")
    }

    /// Migrates once per set of migrations; the template's name tells which.
    fn prepare_template(&self) -> String {
        let name = format!("ecrm_template_{}", migrations_digest());
        let mut pg = self.admin();
        pg.batch_execute("select pg_advisory_lock(4711)").expect("a lock");
        if self.foreign.is_some() {
            pg.batch_execute(
                "do $$ begin
                   if not exists (select from pg_roles where rolname = 'ecrm_app') then
                     create role ecrm_app login; create role ecrm_readonly login;
                   end if;
                 end $$; alter role ecrm_app password 'ecrm_test'",
            )
            .expect("roles");
        }
        if !exists(&mut pg, &name) {
            let draft = format!("{name}_draft");
            pg.batch_execute(&format!("drop database if exists {draft}")).expect("no draft");
            pg.batch_execute(&format!("create database {draft}")).expect("a draft");
            migrate::run(&self.url(Role::Owner, &draft)).expect("migrations");
            let mut draft_pg =
                PgConnection::establish(&self.url(Role::Owner, &draft)).expect("the draft");
            draft_pg.batch_execute(TRIPWIRE).expect("the tripwire");
            drop(draft_pg);
            pg.batch_execute(&format!("alter database {draft} rename to {name}"))
                .expect("a template");
        }
        drop_leftovers(&mut pg);
        pg.batch_execute("select pg_advisory_unlock(4711)").expect("unlocked");
        name
    }

    fn clone_template(&self, database: &str) -> (String, String) {
        let mut pg = self.admin();
        let sql = format!("create database {database} template {}", self.template);
        for attempt in 0.. {
            match pg.batch_execute(&sql) {
                Ok(()) => break,
                // Somebody is connected to the template for a moment.
                Err(error) if attempt > 50 => panic!("{error}"),
                Err(_) => std::thread::sleep(std::time::Duration::from_millis(100)),
            }
        }
        if pooler().is_some() {
            let role = format!("alter role ecrm_app in database {database} set ");
            for setting in BEHIND_POOLER {
                pg.batch_execute(&format!("{role}{setting}")).expect("a setting");
            }
        }
        (self.pooled_url(database), self.url(Role::Owner, database))
    }

    /// What the service connects to.
    fn pooled_url(&self, database: &str) -> String {
        let url = self.url(Role::App, database);
        let Some(address) = pooler() else { return url };
        let mut url: url::Url = url.parse().expect("a URL");
        let (host, port) = address.split_once(':').expect("host:port");
        url.set_host(Some(host)).expect("a host");
        url.set_port(port.parse().ok()).expect("a port");
        url.to_string()
    }
}

fn migrations_digest() -> String {
    let mut text = format!("{TRIPWIRE}{}", include_str!("../../src/db/grants.rs"));
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .expect("migrations")
        .map(|entry| entry.expect("an entry").path().join("up.sql"))
        .filter(|path| path.exists())
        .collect();
    names.sort();
    for name in names {
        text.push_str(&std::fs::read_to_string(name).expect("a migration"));
    }
    ecrm::crypto::hex(&ecrm::crypto::sha256(text.as_bytes())[..8])
}

fn exists(pg: &mut PgConnection, database: &str) -> bool {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::Bool)]
        yes: bool,
    }
    diesel::sql_query("select exists (select from pg_database where datname = $1) as yes")
        .bind::<diesel::sql_types::Text, _>(database)
        .get_result::<Row>(pg)
        .expect("an answer")
        .yes
}

/// Databases of test runs that are over: nobody is connected to them.
fn drop_leftovers(pg: &mut PgConnection) {
    #[derive(diesel::QueryableByName)]
    struct Row {
        #[diesel(sql_type = diesel::sql_types::Text)]
        name: String,
    }
    let old: Vec<Row> = diesel::sql_query(
        "select datname::text as name from pg_database d where datname like 'ecrm\\_test\\_%'
            and not exists (select from pg_stat_activity a where a.datname = d.datname)
            and (pg_stat_file('base/' || d.oid || '/PG_VERSION')).modification < now() - interval '10 minutes'",
    )
    .load(pg)
    .unwrap_or_default();
    for Row { name } in old {
        drop(pg.batch_execute(&format!("drop database if exists {name}")));
    }
}

/// A test binary has no end that we could act on, so a small watcher stops the private server.
fn stop_after_us(data_dir: &std::path::Path) {
    use std::os::unix::process::CommandExt;
    let script = r#"while kill -0 "$1" 2>/dev/null; do sleep 0.5; done
        sleep 2; exec 9>"$2/.tests"; flock -n 9 || exit 0
        pgrep -f "deps/api-" >/dev/null || kill -INT $(head -1 "$2"/pg*/postmaster.pid)"#;
    let mut command = std::process::Command::new("sh");
    command.args(["-c", script, "sh", &std::process::id().to_string()]).arg(data_dir);
    command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
    drop(command.stderr(std::process::Stdio::null()).process_group(0).spawn());
}

/// Refuses to show or store a row of a workspace that the session did not name.
const TRIPWIRE: &str = r"
create function workspace_tripwire(row_workspace uuid) returns boolean
language plpgsql stable cost 100000 as $$
declare allowed text := coalesce(current_setting('ecrm.workspaces', true), '');
begin
  if allowed = '*' or row_workspace::text = any (string_to_array(allowed, ',')) then
    return true;
  end if;
  raise exception 'tripwire: a statement touched workspace % but the session is for %',
    row_workspace, allowed;
end $$;
do $$
declare t record;
begin
  for t in
    select c.relname, case when c.relname = 'workspaces' then 'id' else 'workspace_id' end as col
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = 'public' and c.relkind in ('r', 'p') and not c.relispartition
       and (c.relname = 'workspaces' or exists (
             select from pg_attribute a where a.attrelid = c.oid and a.attname = 'workspace_id'))
       and c.relname not in ('workspace_slugs', 'cors_origins', 'login_emails')
  loop
    execute format('alter table %I enable row level security', t.relname);
    execute format('create policy tripwire on %I using (workspace_tripwire(%I))', t.relname, t.col);
  end loop;
end $$;
";

/// A caller of one workspace.
#[derive(Clone)]
pub struct Client {
    pub base: String,
    pub token: Option<String>,
    pub workspace_id: Uuid,
    pub slug: String,
}

/// An answer, already held against the document.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub json: Value,
    pub text: String,
    /// The body as it came, for what is no text.
    pub bytes: Vec<u8>,
    pub headers: HashMap<String, String>,
}

impl Answer {
    /// The `code` of a problem.
    pub fn code(&self) -> &str {
        self.json["code"].as_str().unwrap_or_default()
    }

    /// The code and pointer of the first field error.
    pub fn fault(&self) -> (&str, &str) {
        let first = &self.json["errors"][0];
        (first["code"].as_str().unwrap_or_default(), first["pointer"].as_str().unwrap_or_default())
    }

    pub fn id(&self) -> String {
        self.json["id"].as_str().unwrap_or_else(|| panic!("no id in {self:?}")).to_owned()
    }

    /// Fails with the whole answer unless status and code are these.
    #[track_caller]
    pub fn expect_code(self, status: u16, code: &str) -> Self {
        assert_eq!((self.status, self.code()), (status, code), "{}", self.text);
        self
    }

    /// Fails with the whole answer unless the status is this one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }
}

impl Client {
    /// The same workspace with another credential.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// The same workspace with a key of these scopes.
    pub fn with_scopes(&self, scopes: &[&str]) -> Self {
        self.with_token(&App::shared().key(self, scopes, true))
    }

    /// The test twin of the same workspace.
    pub fn test_mode(&self) -> Self {
        self.with_token(&App::shared().key(self, &["*"], false))
    }

    /// A connection that sees everything in the database behind this client.
    pub fn owner(&self) -> PgConnection {
        let owners = OWNERS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        PgConnection::establish(&owners[&self.base]).expect("a connection")
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], None)
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], None)
    }

    pub fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, &[], Some(&body.to_string()))
    }

    pub fn put(&self, path: &str, body: Value) -> Answer {
        self.send("PUT", path, &[], Some(&body.to_string()))
    }

    pub fn patch(&self, path: &str, body: Value) -> Answer {
        self.send("PATCH", path, &[], Some(&body.to_string()))
    }

    /// Sends a request with extra headers; a body is JSON unless a header says otherwise.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> Answer {
        let answer = self.send_unchecked(method, path, headers, body.map(str::as_bytes));
        conform(method, path, &answer);
        answer
    }

    /// Sends without holding the answer against the document.
    pub fn send_unchecked(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Answer {
        static AGENT: LazyLock<ureq::Agent> = LazyLock::new(|| {
            ureq::Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .allow_non_standard_methods(true)
                .build()
                .into()
        });
        let mut request =
            ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        if body.is_some()
            && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
        {
            request = request.header("Content-Type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let sent = match body {
            Some(body) => AGENT.run(request.body(body).expect("a request")),
            None => AGENT.run(request.body(()).expect("a request")),
        };
        let mut response = sent.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| {
                (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            })
            .collect();
        let bytes = match response.body().mime_type() {
            // It ends when the service does; its beginning says that it began.
            Some("text/event-stream") => {
                let mut line = Vec::new();
                let mut body = std::io::BufReader::new(response.body_mut().as_reader());
                std::io::BufRead::read_until(&mut body, b'\n', &mut line).expect("a line");
                line
            }
            _ => response.body_mut().read_to_vec().expect("a body"),
        };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status: response.status().as_u16(), json, text, bytes, headers }
    }
}

/// The document of the API, as a tree.
pub fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(ecrm::api::document);
    &DOCUMENT
}

/// Fails unless the document describes exactly this answer.
#[track_caller]
fn conform(method: &str, path: &str, answer: &Answer) {
    static VALIDATORS: LazyLock<Mutex<HashMap<String, jsonschema::Validator>>> =
        LazyLock::new(Mutex::default);
    let plain = path.split('?').next().unwrap_or(path);
    let Some((pattern, operation)) = operation(method, plain) else {
        assert!(
            matches!(answer.status, 404 | 405) || (method == "OPTIONS" && answer.status == 204),
            "{method} {path} is not in the document, yet: {}",
            answer.text
        );
        return;
    };
    let what = format!("{method} {pattern} {}", answer.status);
    let described = &operation["responses"][answer.status.to_string()];
    assert!(!described.is_null(), "{what} is not documented: {}", answer.text);
    let described = resolve(described);
    let Some((media_type, content)) =
        described["content"].as_object().and_then(|c| c.iter().next())
    else {
        assert_eq!(answer.text, "", "{what} is documented without a body");
        return;
    };
    let actual = answer.headers.get("content-type").map_or("", String::as_str);
    assert!(actual.starts_with(media_type.as_str()), "{what}: {actual} is not {media_type}");
    if !media_type.ends_with("json") {
        return;
    }
    let schema = &content["schema"];
    let mut known = VALIDATORS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let validator = known.entry(schema.to_string()).or_insert_with(|| validator(schema));
    let faults: Vec<String> = validator
        .iter_errors(&answer.json)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    drop(known);
    assert!(faults.is_empty(), "{what} breaks its schema: {faults:#?}\n{}", answer.text);
}

fn resolve(value: &Value) -> &Value {
    match value["$ref"].as_str() {
        Some(reference) => document().pointer(reference.trim_start_matches('#')).expect("a target"),
        None => value,
    }
}

/// The operation that a concrete path belongs to, literal segments before parameters.
pub fn operation(method: &str, path: &str) -> Option<(String, &'static Value)> {
    let paths = document()["paths"].as_object().expect("paths");
    let method = if method == "HEAD" { "get".into() } else { method.to_lowercase() };
    let given: Vec<&str> = path.split('/').collect();
    let mut candidates: Vec<(usize, &String, &Value)> = paths
        .iter()
        .filter_map(|(pattern, item)| {
            let parts: Vec<&str> = pattern.split('/').collect();
            let fits = parts.len() == given.len()
                && parts
                    .iter()
                    .zip(&given)
                    .all(|(p, g)| p.starts_with('{') && !g.is_empty() || p == g);
            let wild = parts.iter().filter(|part| part.starts_with('{')).count();
            fits.then_some((wild, pattern, item))
        })
        .collect();
    candidates.sort_by_key(|(wild, ..)| *wild);
    let (_, pattern, item) = candidates.first()?;
    item.get(&method).map(|operation| ((*pattern).clone(), operation))
}

/// A validator of one schema, with objects closed: a property too many is a fault. It holds the
/// components that the schema leads to and no others, or each would hold the whole document.
fn validator(schema: &Value) -> jsonschema::Validator {
    let mut components = json!({});
    gather(schema, &mut components);
    close(&mut components["schemas"]);
    let mut root = schema.clone();
    root["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    root["components"] = components;
    jsonschema::options().should_validate_formats(true).build(&root).expect("a schema")
}

/// Adds every component that a schema refers to, and those that they refer to.
fn gather(schema: &Value, components: &mut Value) {
    match schema {
        Value::Object(map) => {
            if let Some(name) = map.get("$ref").and_then(reference)
                && components["schemas"][name].is_null()
            {
                let component = &document()["components"]["schemas"][name];
                components["schemas"][name] = component.clone();
                gather(component, components);
            }
            map.values().for_each(|inner| gather(inner, components));
        }
        Value::Array(items) => items.iter().for_each(|inner| gather(inner, components)),
        _ => {}
    }
}

fn reference(value: &Value) -> Option<&str> {
    value.as_str()?.strip_prefix("#/components/schemas/")
}

fn close(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.get("properties").is_some_and(Value::is_object)
                && !map.contains_key("additionalProperties")
            {
                map.insert("additionalProperties".into(), json!(false));
            }
            map.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}
