//! [`AnyRuntime`]: a runtime of any type, for tasks that begin after the cluster was created.

use std::{pin::Pin, sync::Arc, task::Waker, time::Duration};

use prism_driver::Runtime;

type Boxed = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Clone)]
pub(crate) struct AnyRuntime(Arc<dyn Dynamic>);

trait Dynamic: Send + Sync {
    fn now(&self) -> Duration;

    fn sleep(&self, span: Duration) -> Boxed;

    fn spawn(&self, future: Boxed);

    fn yield_to_others(&self, waker: &Waker);
}

impl AnyRuntime {
    pub(crate) fn new(runtime: impl Runtime) -> Self {
        Self(Arc::new(Static(runtime)))
    }
}

impl Runtime for AnyRuntime {
    type Sleep = Boxed;

    fn now(&self) -> Duration {
        self.0.now()
    }

    fn sleep(&self, span: Duration) -> Boxed {
        self.0.sleep(span)
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(Box::pin(future));
    }

    fn yield_to_others(&self, waker: &Waker) {
        self.0.yield_to_others(waker);
    }
}

struct Static<R>(R);

impl<R: Runtime> Dynamic for Static<R> {
    fn now(&self) -> Duration {
        self.0.now()
    }

    fn sleep(&self, span: Duration) -> Boxed {
        let runtime = self.0.clone();
        Box::pin(async move { drop(runtime.sleep(span).await) })
    }

    fn spawn(&self, future: Boxed) {
        self.0.spawn(future);
    }

    fn yield_to_others(&self, waker: &Waker) {
        self.0.yield_to_others(waker);
    }
}
