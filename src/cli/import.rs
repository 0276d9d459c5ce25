//! Takes a file into a running service, from anywhere, and shows how far it is.

use std::fs::File;
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};
use ureq::tls::TlsConfig;
use ureq::{Agent, SendBody};

use super::{Result, print};
use crate::bulk::imports::OnDuplicate;
use crate::bulk::row::{BulkFormat, BulkResource};
use crate::crypto;

/// Between two looks at the job.
const PAUSE: Duration = Duration::from_millis(250);

/// What to take in, and where.
#[derive(Args)]
pub struct ImportArgs {
    /// The file: CSV or NDJSON, also with gzip (`.gz`).
    file: PathBuf,
    /// What the rows are: customers, organizations, touchpoints, products or orders.
    #[arg(long)]
    resource: BulkResource,
    /// How the file is written, csv or ndjson; by its name unless given.
    #[arg(long)]
    format: Option<BulkFormat>,
    /// What to do with rows whose record is there: skip (unless given), update or fail.
    #[arg(long)]
    on_duplicate: Option<OnDuplicate>,
    /// A column and its field, such as `Size=attributes.size`; may be repeated. It comes before what the
    /// names suggest, which goes for all other columns; `Size=` leaves a column out.
    #[arg(long = "map", value_name = "COLUMN=FIELD")]
    mapping: Vec<String>,
    /// The `source` of records whose row has none.
    #[arg(long)]
    source: Option<String>,
    /// Of touchpoints: make customers of unknown people.
    #[arg(long)]
    create_customers: bool,
    /// The rows are history: send no webhooks of them.
    #[arg(long)]
    backfill: bool,
    /// Check every row and keep none.
    #[arg(long)]
    dry_run: bool,
    /// Where the service is.
    #[arg(long, env = "ECRM_URL", default_value = "http://127.0.0.1:8080")]
    url: String,
    /// An API key that may write the resource and has the scopes `jobs:read` and `jobs:write`.
    #[arg(long, env = "ECRM_KEY", hide_env_values = true)]
    key: String,
}

/// Uploads the file, starts the import and follows it to its end. Rows that were refused are written
/// beside the file, and make the command fail.
pub fn import(args: &ImportArgs) -> Result<()> {
    let service = Service::of(args);
    let maps = args.maps()?;
    let made = service.send("POST", "/v1/imports", &args.request()?)?;
    let path = format!("/v1/imports/{}", text(&made, "id"));
    let mut ready = service.upload(&format!("{path}/file"), &args.file)?;
    if !maps.is_empty() {
        let mapping = json!({ "mapping": mapped(&ready, &maps)? });
        ready = service.send("PATCH", &path, &mapping)?;
    }
    for column in ready["ignored_columns"].as_array().into_iter().flatten() {
        if !maps.iter().any(|(named, _)| column == named) {
            eprintln!(
                "column {column} is ignored: no field has such a name, and no --map names it"
            );
        }
    }
    service.send("POST", &format!("{path}/start"), &Value::Null)?;
    let job = service.follow(&path)?;
    let count = |name: &str| job["counts"][name].as_i64().unwrap_or(0);
    print(&format!(
        "{}: {} created, {} updated, {} skipped, {} refused\n",
        text(&job, "status"),
        count("created"),
        count("updated"),
        count("skipped"),
        count("failed"),
    ))?;
    if count("failed") > 0 {
        let refused = args.file.with_extension("refused.csv");
        service.save(&format!("{path}/errors"), &refused)?;
        return Err(format!("{} rows were refused: {}", count("failed"), refused.display()));
    }
    match text(&job, "status") {
        "completed" => Ok(()),
        status => Err(format!("the import is {status}: {}", text(&job, "failure"))),
    }
}

/// What the names of the columns suggest, with what `--map` says: it wins over what is suggested for its
/// column, and for its field.
fn mapped(ready: &Value, maps: &[(&str, &str)]) -> Result<Value> {
    let mut mapping = ready["mapping"].as_object().cloned().unwrap_or_default();
    let columns = ready["columns"].as_array().filter(|columns| !columns.is_empty());
    let said = maps.iter().filter(|(_, field)| !field.is_empty());
    mapping.retain(|_, field| !said.clone().any(|(_, said)| field == said));
    for (column, field) in maps {
        if columns.is_some_and(|all| !all.iter().any(|known| known == column)) {
            return Err(format!("--map: the file has no column `{column}`"));
        }
        match field.is_empty() {
            true => drop(mapping.remove(*column)),
            false => drop(mapping.insert((*column).into(), json!(field))),
        }
    }
    Ok(mapping.into())
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

impl ImportArgs {
    fn request(&self) -> Result<Value> {
        let name = self.file.to_string_lossy().to_lowercase();
        let by_name = match name.strip_suffix(".gz").unwrap_or(&name) {
            name if name.ends_with(".csv") => Some(BulkFormat::Csv),
            name if name.ends_with(".ndjson") || name.ends_with(".jsonl") => {
                Some(BulkFormat::Ndjson)
            }
            _ => None,
        };
        let format =
            self.format.or(by_name).ok_or("say --format csv or ndjson: the name does not tell")?;
        Ok(json!({
            "resource": self.resource, "format": format, "on_duplicate": self.on_duplicate,
            "create_customers": self.create_customers, "backfill": self.backfill,
            "dry_run": self.dry_run, "source": self.source,
        }))
    }

    /// Columns and the fields that they shall fill; none leaves a column out.
    fn maps(&self) -> Result<Vec<(&str, &str)>> {
        let pairs = self.mapping.iter().map(|pair| {
            pair.rsplit_once('=').ok_or(format!("--map takes COLUMN=FIELD, not `{pair}`"))
        });
        pairs.collect()
    }
}

/// The running service, as the key sees it.
struct Service<'a> {
    agent: Agent,
    args: &'a ImportArgs,
}

impl<'a> Service<'a> {
    fn of(args: &'a ImportArgs) -> Self {
        let agent = Agent::config_builder()
            .tls_config(
                TlsConfig::builder().unversioned_rustls_crypto_provider(crypto::tls()).build(),
            )
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(10)))
            .build()
            .new_agent();
        Self { agent, args }
    }

    fn request(&self, method: &str, path: &str) -> ureq::http::request::Builder {
        ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.args.url.trim_end_matches('/')))
            .header("Authorization", format!("Bearer {}", self.args.key))
    }

    /// The answer to a request, or what the problem is.
    fn send(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let request = self.request(method, path);
        let sent = match body {
            Value::Null => self.agent.run(request.body(()).map_err(said)?),
            body => {
                let request = request.header("Content-Type", "application/json");
                self.agent.run(request.body(body.to_string()).map_err(said)?)
            }
        };
        read(sent.map_err(|error| format!("{}: {error}", self.args.url))?)
    }

    fn upload(&self, path: &str, name: &Path) -> Result<Value> {
        let open = |error| format!("{}: {error}", name.display());
        let file = File::open(name).map_err(open)?;
        let bytes = file.metadata().map_err(open)?.len();
        let body = Watched { file, bar: Bar::new("uploading", "MB"), done: 0, bytes };
        let mut request =
            self.request("PUT", path).header("Content-Type", "application/octet-stream");
        if name.extension().is_some_and(|ending| ending == "gz") {
            request = request.header("Content-Encoding", "gzip");
        }
        let request = request.body(SendBody::from_owned_reader(body)).map_err(said)?;
        read(self.agent.run(request).map_err(|error| format!("{}: {error}", self.args.url))?)
    }

    /// Waits for the end of a job and shows how far it is.
    fn follow(&self, path: &str) -> Result<Value> {
        let mut bar = Bar::new("importing", "rows");
        loop {
            let job = self.send("GET", path, &Value::Null)?;
            let counts = &job["counts"];
            let done: f64 = ["ok", "skipped", "failed"]
                .iter()
                .map(|name| counts[*name].as_f64().unwrap_or(0.0))
                .sum();
            bar.show(job["progress"].as_f64().unwrap_or(0.0), done);
            if !["queued", "running"].contains(&text(&job, "status")) {
                bar.end();
                return Ok(job);
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn save(&self, path: &str, name: &Path) -> Result<()> {
        let request = self.request("GET", path).body(()).map_err(said)?;
        let mut answer = self.agent.run(request).map_err(said)?;
        let mut file =
            File::create(name).map_err(|error| format!("{}: {error}", name.display()))?;
        std::io::copy(&mut answer.body_mut().as_reader(), &mut file).map_err(said)?;
        Ok(())
    }
}

fn said(error: impl ToString) -> String {
    error.to_string()
}

/// The body of an answer; what is wrong, and where, if it is a problem.
fn read(mut answer: ureq::http::Response<ureq::Body>) -> Result<Value> {
    let status = answer.status();
    let body: Value = answer.body_mut().read_json().unwrap_or_default();
    if status.is_success() {
        return Ok(body);
    }
    let places = body["errors"].as_array().into_iter().flatten();
    let places =
        places.map(|fault| format!("\n  {}: {}", text(fault, "pointer"), text(fault, "detail")));
    Err(format!("{status}: {}{}", text(&body, "detail"), places.collect::<String>()))
}

/// A file that shows how much of it has been read.
struct Watched {
    file: File,
    bar: Bar,
    done: u64,
    bytes: u64,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.done += read as u64;
        let part = self.done as f64 / self.bytes.max(1) as f64;
        self.bar.show(part, self.done as f64 / 1e6);
        if read == 0 {
            self.bar.end();
        }
        Ok(read)
    }
}

/// A line that is drawn again and again; nothing where nobody watches.
struct Bar {
    what: &'static str,
    unit: &'static str,
    begun: Instant,
    drawn: Option<Instant>,
    is_watched: bool,
}

impl Bar {
    const CELLS: usize = 30;

    fn new(what: &'static str, unit: &'static str) -> Self {
        let is_watched = std::io::stderr().is_terminal();
        Self { what, unit, begun: Instant::now(), drawn: None, is_watched }
    }

    /// Draws how far it is, at most ten times a second.
    fn show(&mut self, part: f64, done: f64) {
        let is_fresh = self.drawn.is_some_and(|at| at.elapsed() < Duration::from_millis(100));
        if !self.is_watched || (is_fresh && part < 1.0) {
            return;
        }
        self.drawn = Some(Instant::now());
        let line = self.line(part, done);
        let mut err = std::io::stderr().lock();
        // Who cannot see the bar loses nothing.
        if write!(err, "\r{line}").and_then(|()| err.flush()).is_err() {
            self.is_watched = false;
        }
    }

    fn line(&self, part: f64, done: f64) -> String {
        let full = (part.clamp(0.0, 1.0) * Self::CELLS as f64) as usize;
        let (full, rest) = ("#".repeat(full), ".".repeat(Self::CELLS - full));
        let rate = done / self.begun.elapsed().as_secs_f64().max(0.001);
        let (what, percent, unit) = (self.what, part * 100.0, self.unit);
        format!("{what} [{full}{rest}] {percent:3.0} %  {done:.0} {unit}  {rate:.0}/s ")
    }

    fn end(&mut self) {
        if self.drawn.is_some() {
            eprintln!();
            self.is_watched = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_part() {
        let bar = Bar::new("importing", "rows");
        let shown = |part| bar.line(part, 1200.0);
        assert!(
            shown(0.5).starts_with("importing [###############...............]  50 %  1200 rows")
        );
        assert!(shown(1.0).contains("[##############################] 100 %"));
        assert!(shown(7.0).contains("[##############################]"));
    }
}
