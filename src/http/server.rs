//! The HTTP server: layers in order, limits, and a shutdown that loses no request.

use std::net::TcpListener;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{Server, ServerHandle, ServiceRequest, ServiceResponse};
use actix_web::http::ConnectionType;
use actix_web::middleware::{Compress, Next, from_fn};
use actix_web::rt::signal::unix::{SignalKind, signal};
use actix_web::{HttpServer, web};

use super::cors::Cors;
use super::{boundary, cors, newcomers, observe, rate_limit, request_id, unread};
use crate::app::App;

/// Connections that a worker serves at once; more wait in the listener's queue.
const CONNECTIONS_PER_WORKER: usize = 10_000;

/// How long a connection may lie idle. Longer than the 60 s of common load balancers: whoever keeps
/// connections for longer than we do sends a request into one that is just being closed.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// How long connections that were there before newcomers were turned away have to reach a worker.
const ADMISSION: Duration = Duration::from_millis(250);

/// What a server answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    Api,
    /// Health and metrics alone.
    Platform,
}

/// Builds the server on a bound socket; it runs when awaited.
pub fn build(app: App, socket: TcpListener, surface: Surface) -> std::io::Result<Server> {
    let workers = match app.config.workers {
        0 => std::thread::available_parallelism().map_or(2, usize::from),
        workers => workers,
    };
    // More blocking threads than connections would only fight over the pool.
    let pool_size = usize::try_from(app.config.pool_size).unwrap_or(usize::MAX);
    let blocking = (pool_size / workers).max(1);
    let shutdown_timeout_s = app.config.shutdown_timeout_s;
    let origins = app.origins.clone();
    let cors = web::Data::new(Cors {
        instance: app.config.cors_origins.clone(),
        any_workspace: Arc::new(move |origin| origins.contains(origin)),
    });
    let metrics = web::Data::from(app.metrics.clone());
    let state = web::Data::new(app);
    let server = HttpServer::new(move || {
        // The last layer registered is the outermost.
        let app = actix_web::App::new()
            .app_data(state.clone())
            .app_data(cors.clone())
            .app_data(metrics.clone())
            .wrap(from_fn(boundary::admission))
            .wrap(Compress::default())
            .wrap(from_fn(boundary::errors))
            .wrap(from_fn(rate_limit::announce))
            .wrap(from_fn(cors::apply))
            .wrap(from_fn(observe::observe))
            .wrap(from_fn(unread::hang_up))
            .wrap(from_fn(let_go))
            .wrap(from_fn(request_id::identify));
        match surface {
            Surface::Api => crate::api::mount(app),
            Surface::Platform => crate::api::mount_platform(app),
        }
    });
    Ok(server
        .workers(workers)
        .worker_max_blocking_threads(blocking)
        .max_connections(CONNECTIONS_PER_WORKER)
        .client_request_timeout(Duration::from_secs(5))
        .keep_alive(KEEP_ALIVE)
        .shutdown_timeout(shutdown_timeout_s)
        .disable_signals()
        .listen(socket)?
        .run())
}

/// While the service ends, every answer ends its connection too: a caller who kept one would find it
/// cut off with the next request in it.
async fn let_go<B: MessageBody>(
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let app = App::of(req.request());
    let mut answer = next.call(req).await?;
    if app.is_draining() {
        answer.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(answer)
}

/// Waits for SIGTERM or SIGINT.
pub async fn wait_for_signal() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    std::future::poll_fn(|context| {
        let is_asked = terminate.poll_recv(context).is_ready();
        let is_interrupted = interrupt.poll_recv(context).is_ready();
        if is_asked || is_interrupted { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    Ok(())
}

/// After a signal, announces the end through readiness, takes whoever has come until then, and lets
/// running requests finish. `listener` is the one that the server has.
pub async fn stop_on_signal(
    app: App,
    server: ServerHandle,
    listener: TcpListener,
) -> std::io::Result<()> {
    wait_for_signal().await?;
    log::info!("shutting down");
    app.drain();
    actix_web::rt::time::sleep(app.config.drain_delay).await;
    match newcomers::turn_away(&listener) {
        Ok(()) => actix_web::rt::time::sleep(ADMISSION).await,
        Err(error) => log::warn!("who connects now may be cut off: {error}"),
    }
    // Nobody would be refused as long as we had it.
    drop(listener);
    server.stop(true).await;
    Ok(())
}
