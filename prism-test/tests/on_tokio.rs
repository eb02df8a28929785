//! Pipes on tokio.

use std::time::Duration;

use prism_test::{Recorder, pipe};
use prism_tokio::{Client, Message, Options, serve_stream};
use tokio::time::{Instant, sleep};

#[tokio::test(start_paused = true)]
async fn a_server_and_a_client_of_tokio_use_a_pipe_on_its_virtual_time() {
    let (server, client, faults) = pipe();
    let recorder = Recorder::new();
    let handler = recorder.clone();
    let ended =
        tokio::spawn(async move { serve_stream(server, &Options::default(), handler).await });
    faults.set_piece(1);
    let socket = Client::new("ws://test/").unwrap().connect_stream(client).await.unwrap();
    sleep(Duration::from_secs(3600)).await; // 180 pings
    recorder.connections()[0].send("still there").await.unwrap();
    assert_eq!(socket.recv().await.unwrap(), Message::Text("still there"));

    let began = Instant::now();
    faults.stall();
    assert_eq!(ended.await.unwrap().unwrap().code(), 1006);
    assert!(began.elapsed() < Duration::from_secs(60));
}
