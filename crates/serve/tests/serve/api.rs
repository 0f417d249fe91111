//! What each route answers.

use serde_json::{Value, json};

use crate::server::{self, CLIP_FRAMES, Server, clip, png};

fn chat(content: Value) -> Value {
    json!({"messages": [{"role": "user", "content": content}], "max_tokens": 8, "temperature": 0})
}

fn film(url: &str) -> Value {
    json!([{"type": "video_url", "video_url": {"url": url}}, {"type": "text", "text": "Which way does it move?"}])
}

#[test]
fn a_film_is_answered_with_the_frames_that_were_used() {
    let server = Server::start();
    let answer = server.post("/v1/chat/completions", &chat(film(&clip()))).ok();
    let usage = &answer["usage"];
    assert!(usage["prompt_tokens_details"]["video_tokens"].as_u64() > Some(0), "{answer}");
    assert_eq!(usage["prompt_tokens_details"]["image_tokens"], 0);
    let times: Vec<f64> = answer["zoetrope"]["media"][0]["frames"]
        .as_array()
        .map(|frames| frames.iter().filter_map(|frame| frame["time"].as_f64()).collect())
        .unwrap_or_default();
    assert!(!times.is_empty() && times.len() <= CLIP_FRAMES && times.is_sorted(), "{answer}");
    assert_eq!(answer["choices"][0]["message"]["role"], "assistant");
    let again = server.post("/v1/chat/completions", &chat(film(&clip()))).ok();
    assert_eq!(again["choices"][0]["message"], answer["choices"][0]["message"]);
}

#[test]
fn a_stream_says_what_the_whole_answer_says() {
    let server = Server::start();
    let mut body =
        chat(json!([{"type": "image_url", "image_url": {"url": png()}}, {"type": "text", "text": "Which color?"}]));
    let whole = server.post("/v1/chat/completions", &body).ok();
    body["stream"] = json!(true);
    body["stream_options"] = json!({"include_usage": true});
    let pieces = server.post("/v1/chat/completions", &body).events();
    let text: String = pieces.iter().filter_map(|piece| piece["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(Some(text.as_str()), whole["choices"][0]["message"]["content"].as_str());
    let last = pieces.last().expect("a last piece");
    assert_eq!(
        (&last["choices"], &last["usage"]["completion_tokens"]),
        (&json!([]), &whole["usage"]["completion_tokens"])
    );
    assert!(last["zoetrope"]["media"][0]["frames"].is_array(), "{last}");
}

#[test]
fn an_upload_is_used_by_its_id_and_gone_when_it_is_deleted() {
    let server = Server::start();
    let file = server.upload("a/../clip.png", &server::png_bytes());
    assert_eq!((&file["filename"], &file["zoetrope"]["kind"]), (&json!("clip.png"), &json!("image")));
    let id = file["id"].as_str().expect("an id");
    let ask = |id: &str| {
        let part = json!({"type": "file", "file": {"file_id": id}});
        server.post("/v1/chat/completions", &chat(json!([part, {"type": "text", "text": "Which color?"}])))
    };
    assert!(ask(id).ok()["usage"]["prompt_tokens_details"]["image_tokens"].as_u64() > Some(0));
    let range = server.get_with(&format!("/v1/files/{id}/content"), &[("range", "bytes=0-3")]);
    assert_eq!((range.status, &range.bytes[..]), (206, &server::png_bytes()[..4]));
    assert_eq!(server.get(&format!("/v1/files/{id}/frame?width=64")).bytes[..2], [0xff, 0xd8], "a JPEG");
    assert_eq!(server.delete(&format!("/v1/files/{id}")).ok()["deleted"], true);
    assert_eq!(ask(id).error("file_not_found").1, 404);
}

#[test]
fn a_plan_counts_what_the_answer_reads_and_says_what_does_not_fit() {
    let server = Server::start();
    let body = chat(film(&clip()));
    let plan = server.post("/v1/plan", &body).ok();
    let answer = server.post("/v1/chat/completions", &body).ok();
    assert_eq!(
        plan["media"][0]["frames"].as_array().map(Vec::len),
        answer["zoetrope"]["media"][0]["frames"].as_array().map(Vec::len)
    );
    assert!(plan["tokens"]["prompt"].as_u64() >= answer["usage"]["prompt_tokens"].as_u64(), "{plan}");
    let long = server.post("/v1/chat/completions", &chat(json!("word ".repeat(9000))));
    let (text, status) = long.error("context_length_exceeded");
    assert!(status == 400 && text.contains("more than the limit"), "{text}");
}

#[test]
fn structured_answers_have_their_form() {
    let server = Server::start();
    let mut body = chat(json!("Which?"));
    body["structured_outputs"] = json!({"choice": ["up", "down"]});
    let said = server.post("/v1/chat/completions", &body).ok()["choices"][0]["message"]["content"].clone();
    assert!(said == "up" || said == "down", "{said}");
    let mut body = chat(json!("Which?"));
    body["response_format"] = json!({"type": "yaml"});
    assert_eq!(server.post("/v1/chat/completions", &body).error("invalid_value").1, 400);
}

#[test]
fn what_cannot_be_used_is_refused_by_its_path_without_naming_a_file_of_ours() {
    let server = Server::start();
    let bad_film = "data:video/mp4;base64,bm8gZmlsbQ==";
    for (body, param) in [
        (json!({"messages": []}), "messages"),
        (json!({}), "messages"),
        (chat(json!([{"type": "smell"}])), "messages[0].content[0].type"),
        (chat(film(bad_film)), "messages[0].content[0]"),
        (chat(film("file:///etc/passwd")), "messages[0].content[0]"),
        (chat(film("ftp://example.org/a.mp4")), "messages[0].content[0]"),
        (json!({"messages": [{"role": "user", "content": "x"}], "max_tokens": "many"}), "max_tokens"),
        (json!({"messages": [{"role": "user", "content": "x"}], "temperature": 9}), "temperature"),
        (json!({"messages": [{"role": "user", "content": "x"}], "n": 1000}), "n"),
    ] {
        let answer = server.post("/v1/chat/completions", &body);
        let error = answer.json()["error"].clone();
        assert_eq!((answer.status, error["param"].as_str()), (400, Some(param)), "{body}: {error}");
        let text = error["message"].as_str().unwrap_or_default();
        assert!(!text.is_empty() && !text.contains("/tmp") && error["code"].is_string(), "{error}");
    }
    let mut body = chat(json!("x"));
    body["model"] = json!("no-such");
    let refused = server.post("/v1/chat/completions", &body);
    assert_eq!((refused.status, refused.json()["error"]["param"].clone()), (404, json!("model")));
}

#[test]
fn other_sites_and_other_content_types_start_nothing() {
    let server = Server::start();
    let body = chat(json!("x")).to_string();
    let post = |headers: &[(&str, &str)]| server.send("POST", "/v1/chat/completions", headers, body.as_bytes());
    assert_eq!(post(&[("content-type", "text/plain")]).status, 415);
    assert_eq!(post(&[("content-type", "application/json"), ("origin", "https://evil.example")]).status, 403);
    assert_eq!(post(&[("content-type", "application/json"), ("host", "evil.example")]).status, 403);
    assert_eq!(post(&[("content-type", "application/json"), ("content-encoding", "gzip")]).status, 415);
    let page = server.get("/");
    assert!(page.header("content-security-policy").is_some_and(|policy| policy.contains("default-src 'none'")));
    assert_eq!(page.header("x-content-type-options").as_deref(), Some("nosniff"));
}

#[test]
fn a_client_that_leaves_ends_its_request() {
    let server = Server::start();
    let mut body = chat(json!("Tell me everything."));
    body["stream"] = json!(true);
    body["max_tokens"] = json!(2000);
    body["ignore_eos"] = json!(true);
    server.post_and_leave("/v1/chat/completions", &body);
    let begun = std::time::Instant::now();
    loop {
        let metrics = String::from_utf8(server.get("/metrics").bytes).expect("text");
        if metrics.lines().any(|line| line == "zoetrope_requests_running 0") {
            return;
        }
        assert!(begun.elapsed().as_secs() < 20, "the request still runs: {metrics}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn many_clients_at_once_get_the_answers_that_each_gets_alone() {
    let server = Server::start();
    let body = |n: usize| match n % 3 {
        0 => chat(json!(format!("Describe thing number {n}."))),
        1 => {
            chat(json!([{"type": "image_url", "image_url": {"url": png()}}, {"type": "text", "text": "Which color?"}]))
        }
        _ => chat(film(&clip())),
    };
    let ask = |n: usize| server.post("/v1/chat/completions", &body(n)).ok()["choices"][0]["message"]["content"].clone();
    let alone: Vec<Value> = (0..12).map(ask).collect();
    let together: Vec<Value> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..12).map(|n| scope.spawn(move || ask(n))).collect();
        threads.into_iter().map(|thread| thread.join().expect("an answer")).collect()
    });
    assert_eq!(together, alone);
}

#[test]
fn other_routes_answer() {
    let server = Server::start();
    let models = server.get("/v1/models").ok();
    assert!(models["data"][0]["max_model_len"].as_u64() > Some(0), "{models}");
    let tokens = server.post("/tokenize", &json!({"prompt": "<|im_end|> is text"})).ok();
    assert_eq!(tokens["count"].as_u64(), tokens["tokens"].as_array().map(|ids| ids.len() as u64));
    let completion =
        server.post("/v1/completions", &json!({"prompt": ["red", "red"], "max_tokens": 4, "temperature": 0})).ok();
    assert_eq!(completion["choices"][0]["text"], completion["choices"][1]["text"]);
    let response =
        server.post("/v1/responses", &json!({"input": "What?", "max_output_tokens": 4, "temperature": 0})).ok();
    assert!(response["output"][0]["content"][0]["text"].is_string(), "{response}");
    assert!(server.get("/openapi.json").ok()["paths"]["/v1/chat/completions"].is_object());
    assert_eq!(server.get("/ready").ok()["status"], "ready");
    assert_eq!(server.get("/no/such/route").error("not_found").1, 404);
}
