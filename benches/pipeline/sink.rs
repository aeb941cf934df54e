//! The sink: answers every POST as Twilio answers a message that it takes, each with another sid, and counts. It speaks just
//! enough HTTP/1.1 to keep up with any client, and checks nothing.

use std::{
    io::{self, Read as _},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::{audience::ACCOUNT_SID, process};

/// Listens on a loopback port of the machine's choice, says which, and serves until whoever started it is gone.
pub fn serve() -> anyhow::Result<ExitCode> {
    // Half of the machine at most: the client that is measured needs the rest.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads((cores / 2).max(1)).enable_io().build()?;
    std::thread::spawn(|| {
        // Nothing is ever written there: it ends with the parent.
        let _gone = io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        process::say(&format!("http://{}", listener.local_addr()?));
        let taken = Arc::new(AtomicU64::new(0));
        loop {
            let (connection, _) = listener.accept().await?;
            connection.set_nodelay(true)?;
            let taken = taken.clone();
            // A connection that breaks concerns its client alone: it notices.
            tokio::spawn(async move { drop(answer(connection, &taken).await) });
        }
    })
}

async fn answer(mut connection: TcpStream, taken: &AtomicU64) -> io::Result<()> {
    let (mut read, mut write) = (Vec::with_capacity(16 * 1024), Vec::with_capacity(4 * 1024));
    while connection.read_buf(&mut read).await? > 0 {
        let mut done = 0;
        while let Some((length, post)) = request(&read[done..]) {
            done += length;
            if post {
                created(&mut write, taken.fetch_add(1, Ordering::Relaxed));
            } else {
                respond(&mut write, "200 OK", &taken.load(Ordering::Relaxed).to_string());
            }
        }
        read.drain(..done);
        connection.write_all(&write).await?;
        write.clear();
    }
    Ok(())
}

/// The length of the first request, if the whole of it is here, and whether it is a POST.
fn request(bytes: &[u8]) -> Option<(usize, bool)> {
    let mut body = 0;
    let mut at = 0;
    loop {
        let line = at + bytes[at..].iter().position(|byte| *byte == b'\n')?;
        let header = &bytes[at..line];
        at = line + 1;
        if header.len() <= 1 {
            break;
        }
        if let Some((name, value)) = header.split_at_checked(15)
            && name.eq_ignore_ascii_case(b"content-length:")
        {
            body = std::str::from_utf8(value).ok()?.trim().parse().ok()?;
        }
    }
    (bytes.len() >= at + body).then(|| (at + body, bytes.starts_with(b"POST")))
}

/// As Twilio answers, with all of its fields.
fn created(write: &mut Vec<u8>, serial: u64) {
    let body = format!(
        r#"{{"account_sid":"{ACCOUNT_SID}","api_version":"2010-04-01","body":"…","date_created":"Thu, 24 Aug 2023 05:01:45 +0000","date_sent":null,"date_updated":"Thu, 24 Aug 2023 05:01:45 +0000","direction":"outbound-api","error_code":null,"error_message":null,"from":"+15005550006","messaging_service_sid":null,"num_media":"0","num_segments":"1","price":null,"price_unit":"USD","sid":"SM{serial:032x}","status":"queued","subresource_uris":{{"media":"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/SM{serial:032x}/Media.json"}},"to":"+15005550001","uri":"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/SM{serial:032x}.json"}}"#
    );
    respond(write, "201 Created", &body);
}

fn respond(write: &mut Vec<u8>, status: &str, body: &str) {
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    write.extend_from_slice(head.as_bytes());
    write.extend_from_slice(body.as_bytes());
}
