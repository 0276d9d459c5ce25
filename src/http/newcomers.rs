//! Turning new connections away before the listener is closed.
//!
//! Closing a listener cuts off whoever the system has accepted for it and the service has not: they
//! believe to be connected, and hear of a reset instead of an answer. Where the system can, it drops
//! the first packet of new connections instead, while the queue is emptied. Whoever sent it tries
//! again after a second (RFC 6298, 2.1), and is refused or finds the next process.

use std::io;
use std::net::TcpListener;

/// Drops the packets that ask for a connection; those under way go on.
#[cfg(target_os = "linux")]
pub fn turn_away(listener: &TcpListener) -> io::Result<()> {
    use socket2::{SockFilter, SockRef};

    // Classic BPF, whose codes are those of linux/bpf_common.h; a filter of a TCP socket sees packets
    // from their TCP header on.
    const LOAD_BYTE: u16 = 0x30;
    const AND: u16 = 0x54;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    /// Where a TCP header has its flags.
    const FLAGS: u32 = 13;
    const SYN: u32 = 0x02;
    const ACK: u32 = 0x10;
    const NOTHING: u32 = 0;
    const ALL: u32 = u32::MAX;
    let filter = [
        SockFilter::new(LOAD_BYTE, 0, 0, FLAGS),
        SockFilter::new(AND, 0, 0, SYN | ACK),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, SYN),
        SockFilter::new(RETURN, 0, 0, NOTHING),
        SockFilter::new(RETURN, 0, 0, ALL),
    ];
    SockRef::from(listener).attach_filter(&filter)
}

/// Other systems are for development: who comes too late is cut off.
#[cfg(not(target_os = "linux"))]
pub fn turn_away(_listener: &TcpListener) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::time::Duration;

    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn who_was_there_is_served_and_who_comes_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut early = TcpStream::connect(address).unwrap();
        turn_away(&listener).unwrap();
        let late = TcpStream::connect_timeout(&address, Duration::from_millis(200));
        assert_eq!(late.unwrap_err().kind(), io::ErrorKind::TimedOut);
        let (mut accepted, _) = listener.accept().unwrap();
        early.write_all(b"hello").unwrap();
        let mut read = [0; 5];
        accepted.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"hello");
    }
}
