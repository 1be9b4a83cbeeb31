//! tus-js-client, which others wrote, against the shipped binary: paused, its server killed in the
//! middle, itself killed in the middle, and the same bytes in the end.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use carillon::media::blobs;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};

use crate::support::process::Process;
use crate::support::{On, TestApp};
use crate::uploads::heavy;
use crate::uploads_faults::installed;

/// A line between client and server that stops for good after so many bytes of it went up.
struct Line {
    url: String,
    server: watch::Sender<String>,
    left: Arc<AtomicU64>,
    stopped: Arc<Notify>,
}

impl Line {
    async fn to(server: &str, bytes: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (server, now) = watch::channel(server.to_owned());
        let (left, stopped) = (Arc::new(AtomicU64::new(bytes)), Arc::new(Notify::new()));
        let line = Self { url, server, left: left.clone(), stopped: stopped.clone() };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (left, stopped, to) = (left.clone(), stopped.clone(), now.borrow().clone());
                tokio::spawn(async move { pass(client, &to, &left, &stopped).await });
            }
        });
        line
    }

    /// From now on to this server, without an end.
    fn lead_to(&self, server: &str) {
        self.server.send_replace(server.to_owned());
        self.left.store(u64::MAX, Ordering::Relaxed);
    }
}

/// Ends with either side, and when the line stops.
async fn pass(client: TcpStream, to: &str, left: &AtomicU64, stopped: &Notify) {
    let Ok(server) = TcpStream::connect(to.trim_start_matches("http://")).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = async {
        let mut bytes = vec![0; 64 << 10];
        while let Ok(n @ 1..) = from_client.read(&mut bytes).await {
            if left.load(Ordering::Relaxed) < n as u64 {
                // Nothing gets through any more; that the client goes away does.
                stopped.notify_one();
                while let Ok(1..) = from_client.read(&mut bytes).await {}
                return;
            }
            left.fetch_sub(n as u64, Ordering::Relaxed);
            if to_server.write_all(&bytes[..n]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = up => {}
        _ = tokio::io::copy(&mut from_server, &mut to_client) => {}
    }
}

/// A run of the client, and what it says.
struct Client {
    child: Child,
    says: Receiver<Value>,
}

impl Client {
    fn start(url: &str, key: &str, file: &Path) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/live/tus/upload.mjs");
        let mut child = Command::new("node")
            .arg(script)
            .args([&format!("{url}/api/v1/uploads"), key])
            .arg(file)
            .arg(file.with_extension("urls"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node starts");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (say, says) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let said = serde_json::from_str(&line).expect("a line of JSON");
                if say.send(said).is_err() {
                    return;
                }
            }
        });
        Self { child, says }
    }

    fn said(&self, key: &str) -> Value {
        let said = self.says.recv_timeout(Duration::from_secs(60));
        let said = said.unwrap_or_else(|_| panic!("`{key}` was not said; scripts/install tus?"));
        said.get(key).cloned().unwrap_or_else(|| panic!("{said} instead of `{key}`"))
    }

    fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs tus-js-client: `make test` installs it and runs this"]
async fn anothers_client_gets_its_file_through_whoever_dies() {
    for on in [On::Sqlite, On::Postgres] {
        let (t, key) = installed(on).await;
        let file = heavy(30_000_000);
        for servers_fault in [true, false] {
            let path = t.app.config.data.dir.join(format!("{servers_fault}.jpg"));
            std::fs::write(&path, &file).unwrap();
            let (mut server, at) = serve(&t);
            let line = Line::to(&at, 20_000_000).await;
            let mut client = Client::start(&line.url, &key, &path);
            assert_eq!(client.said("from"), 0);
            line.stopped.notified().await;
            if servers_fault {
                server.kill();
                let again;
                (server, again) = serve(&t);
                line.lead_to(&again);
            } else {
                client.kill();
                line.lead_to(&at);
                client = Client::start(&line.url, &key, &path);
                let from = client.said("from").as_u64().expect("an offset");
                assert!(from > 10_000_000, "what had arrived is not sent again: from {from}");
            }
            let media = client.said("media");
            let original = blobs::key(&t.workspace, media.as_str().expect("an id"), "original");
            assert!(
                t.app.blobs.get(&original).await.expect("the original") == file,
                "the same bytes"
            );
            server.kill();
        }
    }
}

fn serve(t: &TestApp) -> (Process, String) {
    let (server, line) = Process::start(&["serve"], &t.settings, "listening on ");
    (server, line.trim_start_matches("listening on ").to_owned())
}
