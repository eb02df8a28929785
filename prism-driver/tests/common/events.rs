//! [`Events`]: collects the events and spans of the driver.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
    sync::{Arc, LazyLock, Mutex},
};

use tracing::{
    Dispatch, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

/// Everything that was reported while this was the subscriber of the thread.
#[derive(Clone, Default)]
pub struct Events(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    events: Vec<Event>,
    spans: Vec<Event>,
    /// The indexes of the spans that the thread is within.
    entered: Vec<usize>,
}

/// An event or a span, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// The level and the target, as in `INFO prism::server`.
    pub kind: String,
    /// The message of an event, or the name of a span.
    pub message: String,
    pub fields: BTreeMap<&'static str, String>,
    /// The fields as one text, as the subscribers of the crate `tracing-subscriber` write them by default.
    pub line: String,
    /// The name of the span that the event is in.
    pub span: Option<String>,
}

impl Events {
    /// Runs a test with this as the thread's subscriber.
    pub fn collect<T>(&self, test: impl FnOnce() -> T) -> T {
        // While no subscriber exists, an event that a thread meets for the first time is cached as one that nobody
        // wants, even if a subscriber is created just then. So one exists always, and what was cached before it is
        // decided again.
        static ALWAYS: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(Events::default()));
        LazyLock::force(&ALWAYS);
        tracing::callsite::rebuild_interest_cache();
        tracing::subscriber::with_default(self.clone(), test)
    }

    pub fn all(&self) -> Vec<Event> {
        self.0.lock().unwrap().events.clone()
    }

    /// Returns the events with this message.
    pub fn named(&self, message: &str) -> Vec<Event> {
        self.all().into_iter().filter(|event| event.message == message).collect()
    }

    /// Returns the only event with this message.
    #[track_caller]
    pub fn only(&self, message: &str) -> Event {
        let mut events = self.named(message);
        assert_eq!(events.len(), 1, "{:#?}", self.all());
        events.remove(0)
    }

    pub fn spans(&self) -> Vec<Event> {
        self.0.lock().unwrap().spans.clone()
    }
}

impl Event {
    /// Returns a field. Panics if the event has none of this name.
    #[track_caller]
    pub fn get(&self, field: &str) -> &str {
        self.fields.get(field).unwrap_or_else(|| panic!("no `{field}` in {self:?}"))
    }

    fn new(metadata: &Metadata<'_>) -> Self {
        let kind = format!("{} {}", metadata.level(), metadata.target());
        Self { kind, ..Self::default() }
    }

    fn add(&mut self, field: &Field, text: String, value: &dyn fmt::Debug) {
        let name = field.name();
        let _ = write!(self.line, " {name}={value:?}"); // a `String` takes everything
        self.fields.insert(name, text);
    }
}

/// Records the fields.
impl Visit for Event {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            _ => self.add(field, format!("{value:?}"), value),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message = value.to_owned(),
            _ => self.add(field, value.to_owned(), &value),
        }
    }
}

impl Subscriber for Events {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("prism") || metadata.target() == "test"
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        let mut span = Event::new(attributes.metadata());
        attributes.record(&mut span);
        span.message = attributes.metadata().name().to_owned();
        let mut state = self.0.lock().unwrap();
        state.spans.push(span);
        span::Id::from_u64(state.spans.len() as u64)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut collected = Event::new(event.metadata());
        event.record(&mut collected);
        let mut state = self.0.lock().unwrap();
        collected.span = state.entered.last().map(|at| state.spans[*at].message.clone());
        state.events.push(collected);
    }

    fn enter(&self, span: &span::Id) {
        self.0.lock().unwrap().entered.push(span.into_u64() as usize - 1);
    }

    fn exit(&self, _: &span::Id) {
        self.0.lock().unwrap().entered.pop();
    }
}
