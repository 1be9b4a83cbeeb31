//! An S3 server that checks every signature, on a free port with a folder of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tokio::net::TcpListener;

const KEY: &str = "AKIACARILLON";
pub const SECRET: &str = "a secret that only both know";
const BUCKET: &str = "media";

pub struct S3 {
    pub url: String,
    root: tempfile::TempDir,
    away: Arc<AtomicBool>,
}

impl S3 {
    pub async fn start() -> Self {
        let root = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(root.path().join(BUCKET)).expect("a bucket");
        let files = FileSystem::new(root.path()).expect("a file system");
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let service = service.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let away = Arc::new(AtomicBool::new(false));
        let gone = away.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if gone.load(Ordering::Relaxed) {
                    continue;
                }
                let serve = http1::Builder::new()
                    // So that one that goes away is away at once.
                    .keep_alive(false)
                    .serve_connection(TokioIo::new(stream), service.clone());
                // A client that goes away in the middle is its own affair.
                tokio::spawn(async move { serve.await.ok() });
            }
        });
        Self { url, root, away }
    }

    /// Settings under which it is home, or only known.
    pub fn settings(&self, home: &'static str) -> Vec<(&'static str, String)> {
        vec![
            ("CARILLON_STORE", home.to_owned()),
            ("CARILLON_S3_ENDPOINT", self.url.clone()),
            ("CARILLON_S3_BUCKET", BUCKET.to_owned()),
            ("CARILLON_S3_KEY_ID", KEY.to_owned()),
            ("CARILLON_S3_SECRET", SECRET.to_owned()),
        ]
    }

    /// Whether it drops every connection.
    pub fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::Relaxed);
    }

    /// The file of an object.
    pub fn object(&self, key: &str) -> PathBuf {
        self.root.path().join(BUCKET).join(key)
    }

    /// How many objects there are, and parts of unfinished ones.
    pub fn objects(&self) -> usize {
        files(&self.root.path().join(BUCKET))
    }

    pub fn parts(&self) -> usize {
        let entries = std::fs::read_dir(self.root.path()).expect("a folder");
        let name = |e: std::io::Result<std::fs::DirEntry>| e.expect("an entry").file_name();
        entries
            .filter(|e| e.is_ok())
            .map(name)
            .filter(|n| n.to_string_lossy().contains(".part"))
            .count()
    }
}

/// How many files there are below a folder.
pub fn files(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .map(|e| e.expect("an entry").path())
        .map(|path| if path.is_dir() { files(&path) } else { 1 })
        .sum()
}
