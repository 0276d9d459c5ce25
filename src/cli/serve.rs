//! Serving, working and migrating.

use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use actix_web::rt::System;

use super::boot::{self, Database};
use super::{Result, print, seed};
use crate::app::App;
use crate::config::Config;
use crate::http::server::Surface;
use crate::{db, http, journal, webhooks, worker};

/// Serves until a signal; migrates and fills the demo workspace before.
pub fn serve(config: Config, wants_demo: bool) -> Result<()> {
    let socket = listen(config.bind)?;
    let database = Database::open(&config)?;
    let must_migrate = config.migrate_on_start || database.is_private();
    let app = boot::app(config, &database)?;
    if must_migrate {
        database.migrate()?;
    }
    check_privileges(&app, &database)?;
    match (database.is_private(), wants_demo) {
        (true, true) => welcome(&app)?,
        (true, false) => first_steps(&app)?,
        (false, _) => {}
    }
    let address = socket.local_addr().map_err(|error| error.to_string())?;
    log::info!("listening on http://{address}, docs on {}/docs/", app.config.public_url);
    let served = run(app, socket);
    drop(database);
    served
}

fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).map_err(|error| format!("cannot listen on {address}: {error}"))
}

fn run(app: App, socket: TcpListener) -> Result<()> {
    let mut threads = vec![
        worker::start_renewal(app.clone()).map_err(text)?,
        journal::live::start(app.clone()).map_err(text)?,
    ];
    if app.config.run_jobs {
        threads.extend(start_work(&app)?);
    }
    let served = answer(&app, socket, Surface::Api);
    end(&app, threads)?;
    served
}

/// Carries out jobs and sends webhooks.
fn start_work(app: &App) -> Result<Vec<JoinHandle<()>>> {
    let mut threads = worker::start(app).map_err(text)?;
    threads.push(webhooks::deliver::start(app.clone()).map_err(text)?);
    Ok(threads)
}

fn text(error: std::io::Error) -> String {
    error.to_string()
}

/// Answers requests until a signal.
fn answer(app: &App, socket: TcpListener, surface: Surface) -> Result<()> {
    let served = System::new().block_on(async {
        let listener = socket.try_clone()?;
        let server = http::server::build(app.clone(), socket, surface)?;
        let stop = http::server::stop_on_signal(app.clone(), server.handle(), listener);
        actix_web::rt::spawn(async move {
            if let Err(error) = stop.await {
                log::error!("cannot wait for signals: {error}");
            }
        });
        server.await
    });
    served.map_err(text)
}

/// Waits for background threads as long as for requests. One that is not done by then ends with the
/// process, and others get its job.
fn end(app: &App, threads: Vec<JoinHandle<()>>) -> Result<()> {
    let patience = app.config.drain_delay + Duration::from_secs(app.config.shutdown_timeout_s);
    let deadline = app.drain() + patience;
    let mut silent = false;
    for thread in threads {
        while !thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        if !thread.is_finished() {
            silent = true;
        } else if thread.join().is_err() {
            return Err("a background thread panicked".into());
        }
    }
    if silent {
        log::warn!("a background thread is not done");
        give_back(app);
    }
    Ok(())
}

/// Gives unfinished jobs back, unless it is the database that is silent: nobody waits for that.
fn give_back(app: &App) {
    const PATIENCE: Duration = Duration::from_secs(1);
    let (tell, told) = std::sync::mpsc::channel();
    let app = app.clone();
    std::thread::spawn(move || {
        worker::give_back(&app);
        // Nobody listens any more where this took too long.
        tell.send(()).ok();
    });
    if told.recv_timeout(PATIENCE).is_err() {
        log::warn!("unfinished jobs wait for the end of their lease");
    }
}

/// Makes the demo workspace on the first start and says where to begin.
fn welcome(app: &App) -> Result<()> {
    let key = seed::ensure_demo(app)?;
    let url = &app.config.public_url;
    print(&format!(
        "\necrm is ready.\n\n  Docs     {url}/docs/\n  API key  {key}\n\n  Try      curl -H \
         'Authorization: Bearer {key}' '{url}/v1/customers?q=ada&limit=1'\n\n"
    ))
}

/// What to do with a database in which there is nothing yet.
fn first_steps(app: &App) -> Result<()> {
    let url = &app.config.public_url;
    print(&format!(
        "\necrm is ready.\n\n  Docs     {url}/docs/\n  Begin    ecrm workspace create acme\n           \
         ecrm key create --workspace acme\n\n"
    ))
}

/// A service that could change its own tables is one mistake away from doing so.
fn check_privileges(app: &App, database: &Database) -> Result<()> {
    let asked = app.db.system(db::grants::is_overprivileged);
    match asked {
        // Without a database there is nothing to check yet; the service starts and waits for it.
        Err(error) => log::warn!("privileges not checked: {error}"),
        Ok(true) if app.config.require_least_privilege => {
            return Err("the database role is superuser or owns the tables; use the role \
                        `ecrm_app` (see docs/operations.md) or unset ECRM_REQUIRE_LEAST_PRIVILEGE"
                .into());
        }
        Ok(true) if !database.is_private() => {
            log::warn!("the database role is superuser or owns the tables; prefer `ecrm_app`");
        }
        Ok(_) => {}
    }
    Ok(())
}

/// Carries out jobs until a signal, without serving the API.
pub fn work(config: Config) -> Result<()> {
    let socket = config.worker_bind.map(listen).transpose()?;
    let database = Database::open(&config)?;
    let app = boot::app(config, &database)?;
    let mut threads = vec![journal::live::start(app.clone()).map_err(text)?];
    threads.extend(start_work(&app)?);
    let waited = match socket {
        Some(socket) => answer(&app, socket, Surface::Platform),
        None => System::new().block_on(http::server::wait_for_signal()).map_err(text),
    };
    end(&app, threads)?;
    waited
}

/// Brings the database up to date and names what was done.
pub fn migrate(config: Config) -> Result<()> {
    let database = Database::open(&config)?;
    let names = database.migrate()?;
    match names.as_slice() {
        [] => print("the database is up to date\n"),
        names => print(&format!("{}\n", names.join("\n"))),
    }
}

/// Exit code 0 while the service on `ECRM_BIND` is ready.
pub fn health(config: &Config) -> Result<()> {
    let url = format!("http://127.0.0.1:{}/health/ready", config.bind.port());
    let agent = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(3))).build();
    let asked = ureq::Agent::from(agent).get(&url).call();
    asked.map(|_| ()).map_err(|error| format!("{url}: {error}"))
}
