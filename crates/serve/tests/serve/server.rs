//! A server on a free port, and a client of a few lines.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::mpsc::channel;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use zoetrope_engine::{EngineOptions, Limits, ServiceOptions};
use zoetrope_hub::fetch::FetchLimits;
use zoetrope_models::checkpoint::Checkpoint;
use zoetrope_models::loading;
use zoetrope_models::weights::{LoadOptions, Precision};
use zoetrope_serve::{LoadedModel, ModelName, ServeOptions};

/// Frames of [`clip`].
pub(crate) const CLIP_FRAMES: usize = 4;

/// A server that runs until the tests end; all tests share it.
#[derive(Clone, Copy)]
pub(crate) struct Server(SocketAddr);

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let line = self.head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")))?;
        Some(line[name.len() + 1..].trim().to_string())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&self.bytes)))
    }

    /// The body of an answer without an error.
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.bytes));
        assert!(self.header("x-request-id").is_some());
        self.json()
    }

    /// Message and status of an error with this code.
    pub(crate) fn error(&self, code: &str) -> (String, u16) {
        let error = self.json()["error"].clone();
        assert_eq!(error["code"], code, "{error}");
        (error["message"].as_str().unwrap_or_default().to_string(), self.status)
    }

    /// The events of a stream, without `[DONE]`, which must be there.
    pub(crate) fn events(&self) -> Vec<Value> {
        let text = String::from_utf8_lossy(&self.bytes);
        let mut data: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        assert_eq!(data.pop(), Some("[DONE]"), "{text}");
        data.into_iter().map(|data| serde_json::from_str(data).expect("JSON")).collect()
    }
}

impl Server {
    /// The server of all tests.
    pub(crate) fn start() -> Self {
        static SERVER: OnceLock<Server> = OnceLock::new();
        *SERVER.get_or_init(|| {
            let (sender, address) = channel();
            std::thread::spawn(move || zoetrope_serve::run(options(), |address| sender.send(address).expect("a test")));
            Server(address.recv_timeout(Duration::from_secs(120)).expect("the server listens"))
        })
    }

    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut wire = self.connect();
        self.write(&mut wire, method, path, headers, body);
        let mut all = Vec::new();
        wire.read_to_end(&mut all).expect("an answer");
        parse(&all)
    }

    /// What comes back for these bytes, of which the server may read a part only.
    pub(crate) fn send_bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let (mut wire, mut all) = (self.connect(), Vec::new());
        let _ = wire.write_all(bytes);
        let _ = wire.read_to_end(&mut all);
        all
    }

    fn connect(&self) -> TcpStream {
        let wire = TcpStream::connect(self.0).expect("a connection");
        wire.set_read_timeout(Some(Duration::from_secs(120))).expect("a timeout");
        wire
    }

    fn write(&self, wire: &mut TcpStream, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
        if !headers.iter().any(|(name, _)| *name == "host") {
            head.push_str(&format!("host: {}\r\n", self.0));
        }
        headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        wire.write_all(head.as_bytes()).and_then(|()| wire.write_all(b"\r\n")).expect("a head");
        // A refusal may come before the body is read.
        let _ = wire.write_all(body);
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[("content-type", "application/json")], body.to_string().as_bytes())
    }

    /// Asks, and leaves at the first byte of the answer.
    pub(crate) fn post_and_leave(&self, path: &str, body: &Value) {
        let mut wire = self.connect();
        self.write(&mut wire, "POST", path, &[("content-type", "application/json")], body.to_string().as_bytes());
        wire.read_exact(&mut [0]).expect("the answer begins");
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[])
    }

    pub(crate) fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", path, headers, b"")
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], b"")
    }

    pub(crate) fn upload(&self, name: &str, bytes: &[u8]) -> Value {
        let head = format!(
            "--edge\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\nuser_data\r\n--edge\r\n\
             content-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n"
        );
        let body = [head.as_bytes(), bytes, b"\r\n--edge--\r\n"].concat();
        self.send("POST", "/v1/files", &[("content-type", "multipart/form-data; boundary=edge")], &body).ok()
    }
}

fn parse(all: &[u8]) -> Answer {
    let end = all.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or_else(|| panic!("no head in {all:?}"));
    let head = String::from_utf8_lossy(&all[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let body = &all[end + 4..];
    let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    Answer { status, head, bytes: if is_chunked { unchunked(body) } else { body.to_vec() } }
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(end) = body.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&body[..end]).ok().and_then(|text| usize::from_str_radix(text.trim(), 16).ok());
        let size = size.expect("the size of a chunk");
        all.extend_from_slice(&body[end + 2..end + 2 + size]);
        body = &body[end + 4 + size..];
    }
    all
}

fn options() -> ServeOptions {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/models/zoetrope-nano");
    let loader = move |_: Option<&std::ffi::OsStr>| {
        let model = loading::open(&Checkpoint::from(folder.as_path()), LoadOptions::cpu(Precision::Auto));
        Ok(LoadedModel { model: model.map_err(|error| error.to_string())?, index: None })
    };
    let engine = EngineOptions {
        prefix_bytes: 64 << 20,
        cache_bytes: 256 << 20,
        encode_beside: true,
        ..EngineOptions::default()
    };
    let service =
        ServiceOptions { engine, media_bytes: 64 << 20, encode_at_once: 4, wall_time: Duration::from_secs(300) };
    ServeOptions {
        address: ([127, 0, 0, 1], 0).into(),
        models: vec![ModelName { id: "nano".to_string(), source: None }],
        loader: Arc::new(loader),
        api_key: None,
        hosts: Vec::new(),
        origins: Vec::new(),
        media_root: None,
        limits: Limits { cache_bytes: 256 << 20, ..Limits::default() },
        service,
        threads: 2,
        requests: 64,
        weight_bytes: 1 << 30,
        file_bytes: 64 << 20,
        spool_bytes: 256 << 20,
        fetch: FetchLimits::default(),
        sandbox: None,
        body_bytes: 16 << 20,
        frames: 512,
        drain: Duration::from_secs(1),
    }
}

/// A red square on white as PNG.
pub(crate) fn png_bytes() -> Vec<u8> {
    let picture = image::RgbImage::from_fn(96, 96, |x, y| {
        let inside = (24..72).contains(&x) && (24..72).contains(&y);
        image::Rgb(if inside { [220, 30, 30] } else { [255, 255, 255] })
    });
    let mut bytes = Vec::new();
    picture.write_to(&mut std::io::Cursor::new(&mut bytes), image::ImageFormat::Png).expect("a PNG");
    bytes
}

/// [`png_bytes`] as an address.
pub(crate) fn png() -> String {
    format!("data:image/png;base64,{}", STANDARD.encode(png_bytes()))
}

/// Four pictures, a second apart, as vLLM's clients send the frames of a clip.
pub(crate) fn clip() -> String {
    let frame = |n: usize| {
        let picture = image::RgbImage::from_fn(96, 96, |x, y| {
            let inside = (36..60).contains(&x) && (20 * n as u32..20 * n as u32 + 24).contains(&y);
            image::Rgb(if inside { [220, 30, 30] } else { [255, 255, 255] })
        });
        let mut bytes = Vec::new();
        picture.write_to(&mut std::io::Cursor::new(&mut bytes), image::ImageFormat::Png).expect("a PNG");
        STANDARD.encode(bytes)
    };
    format!("data:video/jpeg;base64,{}", (0..CLIP_FRAMES).map(frame).collect::<Vec<_>>().join(","))
}
