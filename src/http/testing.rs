//! A real server for tests that need what no test client sends: stalled, cut and hand-written
//! requests.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use actix_web::{App, HttpServer, web};

/// What the client does once it has written its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Leaves its side open and waits for an answer.
    Wait,
    /// Ends its side of the connection.
    HangUp,
}

/// Serves `routes` on a free port for as long as the test runs.
pub fn serve(routes: fn(&mut web::ServiceConfig)) -> SocketAddr {
    let server = HttpServer::new(move || App::new().configure(routes))
        .workers(1)
        .disable_signals()
        .bind(("127.0.0.1", 0))
        .unwrap();
    let address = server.addrs()[0];
    actix_web::rt::spawn(server.run());
    address
}

/// Writes `bytes` as they are and returns everything that comes back until the server closes.
pub async fn send(address: SocketAddr, bytes: impl AsRef<[u8]>, then: Then) -> String {
    let bytes = bytes.as_ref().to_vec();
    web::block(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(&bytes).unwrap();
        if then == Then::HangUp {
            stream.shutdown(Shutdown::Write).unwrap();
        }
        let mut answer = Vec::new();
        // A server that refuses a body half-way resets the connection after its answer.
        if let Err(error) = stream.read_to_end(&mut answer) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        }
        String::from_utf8_lossy(&answer).into_owned()
    })
    .await
    .unwrap()
}
