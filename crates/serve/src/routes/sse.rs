//! Events of a turn as server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::Value;
use zoetrope_engine::TurnEvent;

use crate::turn::Turn;

/// How often a comment is sent while nothing happens, so that nobody between thinks that the connection is dead.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// What a kind of stream makes of the events of a turn.
pub(super) trait Writer: Send + 'static {
    /// What is sent before the first event.
    fn begin(&mut self, turn: &Turn) -> Vec<Event>;
    /// What an event becomes.
    fn event(&mut self, turn: &Turn, event: TurnEvent) -> Vec<Event>;
}

/// An event of this data.
pub(super) fn data(value: &Value) -> Event {
    Event::default().data(value.to_string())
}

struct State<W> {
    turn: Turn,
    writer: W,
    ready: VecDeque<Event>,
}

/// The stream. When the client leaves, it is dropped, and with it the turn.
pub(super) fn stream(turn: Turn, mut writer: impl Writer) -> Response {
    let ready = writer.begin(&turn).into();
    let state = State { turn, writer, ready };
    let events = stream::unfold(state, |mut state| async {
        loop {
            if let Some(event) = state.ready.pop_front() {
                return Some((Ok::<_, Infallible>(event), state));
            }
            let event = state.turn.next().await?;
            state.ready.extend(state.writer.event(&state.turn, event));
        }
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE).text("still at work")).into_response()
}
