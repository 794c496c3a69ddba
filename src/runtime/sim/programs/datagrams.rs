//! What programs do with datagrams: `nc -u`, and the UDP server of `agnhost netexec`.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::bash::ProgramContext;
use crate::clock::Clock;
use crate::net::Datagrams;
use crate::network::NetHost;

/// How long `nc -z` waits for the word that nobody takes it.
const REFUSAL: Duration = Duration::from_secs(1);
/// How much of the input goes into one datagram.
const CHUNK: usize = 16 * 1024;

async fn client_socket(host: &NetHost) -> io::Result<Box<dyn Datagrams>> {
    host.datagrams((Ipv4Addr::UNSPECIFIED, 0).into()).await
}

/// `nc -u HOST PORT`: what is read is sent, what comes is written, until nobody takes it or nothing came for `limit`.
pub(super) async fn talk(
    host: &NetHost,
    context: ProgramContext,
    to: SocketAddr,
    limit: Option<Duration>,
) -> i32 {
    match client_socket(host).await {
        Ok(socket) => exchange(&*socket, context, to, limit).await,
        Err(_) => 1,
    }
}

/// `nc -u -l PORT`: speaks with the first who speaks.
pub(super) async fn listen(
    host: &NetHost,
    mut context: ProgramContext,
    port: u16,
    limit: Option<Duration>,
) -> i32 {
    let Ok(socket) = host.datagrams((Ipv4Addr::UNSPECIFIED, port).into()).await else {
        context.stdio.err("nc: bind: Address already in use\n").await;
        return 1;
    };
    let Ok((bytes, from)) = socket.receive().await else { return 1 };
    if !context.stdio.out(bytes.to_vec()).await {
        return 1;
    }
    exchange(&*socket, context, from, limit).await
}

/// `nc -zu`: whether nobody says that nobody takes it.
pub(super) async fn is_taken(host: &NetHost, clock: &Clock, to: SocketAddr) -> bool {
    let Ok(socket) = client_socket(host).await else { return false };
    if socket.send(b"X", to).await.is_err() {
        return false;
    }
    // Silence is all that most servers have to say to this.
    clock.timeout(REFUSAL, socket.receive()).await.map_or(true, |answer| answer.is_ok())
}

async fn exchange(
    socket: &dyn Datagrams,
    context: ProgramContext,
    peer: SocketAddr,
    limit: Option<Duration>,
) -> i32 {
    let clock = context.system.clock.clone();
    let (mut stdin, mut stdout) = (context.stdio.stdin, context.stdio.stdout);
    let sending = async {
        let mut buffer = vec![0; CHUNK];
        while let Ok(count @ 1..) = stdin.read(&mut buffer).await {
            if socket.send(&buffer[..count], peer).await.is_err() {
                return;
            }
        }
        // The end of the input is not that of the conversation.
        std::future::pending().await
    };
    let receiving = async {
        loop {
            let next = match limit {
                None => socket.receive().await,
                Some(limit) => match clock.timeout(limit, socket.receive()).await {
                    Ok(next) => next,
                    Err(_) => return 0,
                },
            };
            match next {
                Err(_) => return 1,
                Ok((bytes, from)) if from == peer => {
                    if stdout.write_all(&bytes).await.is_err() || stdout.flush().await.is_err() {
                        return 0;
                    }
                }
                Ok(_) => {}
            }
        }
    };
    tokio::select! { biased;
        code = receiving => code,
        () = sending => 1,
    }
}

/// What `agnhost netexec` answers, and what it says of it in its log.
// Models test/images/agnhost/netexec (startUDPServer).
pub(super) fn netexec(bytes: &[u8], from: SocketAddr, hostname: &str) -> (Option<String>, String) {
    let text = String::from_utf8_lossy(bytes).trim().to_lowercase();
    if let Some(echo) = text.strip_prefix("echo ") {
        return (Some(echo.to_owned()), format!("Echoing {echo} to UDP client {from}"));
    }
    match text.as_str() {
        "hostname" => (Some(hostname.to_owned()), "Sending udp hostName response".to_owned()),
        "clientip" => (Some(from.to_string()), format!("Sending clientip back to UDP client {from}")),
        "" => (None, String::new()),
        other => (None, format!("Unknown UDP command received from {from}: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn netexec_knows_three_commands() {
        let from: SocketAddr = "10.244.0.2:4000".parse().unwrap();
        for (asked, answer) in [
            ("hostname\n", Some("web-0")),
            ("echo Hello you\n", Some("hello you")),
            ("clientip", Some("10.244.0.2:4000")),
            ("\n", None),
            ("what", None),
        ] {
            assert_eq!(netexec(asked.as_bytes(), from, "web-0").0.as_deref(), answer, "{asked}");
        }
    }
}
