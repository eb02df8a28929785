//! Starts the server and the crowd, asks the server for its figures each second, and prints them now
//! and then.

use std::{
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use prism_driver::{Client, CloseCode, Network};

use crate::{
    Plan,
    crowd::Crowd,
    figures::Figures,
    served::Served,
    verdict::{Run, judge},
};

const LOOK: Duration = Duration::from_secs(1);

/// After how many looks a line is printed.
const LINE: usize = 10;

/// How long after the end everybody must have gone: more than the deadlines of both sides together.
const PATIENCE: Duration = Duration::from_secs(90);

/// Runs all of it. Which rules it has broken.
pub(crate) async fn watch<N: Network>(network: N, plan: Plan) -> Vec<String> {
    let mut served = Served::start(&plan.runtime);
    match look_on(&network, &plan, &mut served).await {
        Ok(run) => judge(&plan, &run, served.stop()),
        Err(what) => vec![what],
    }
}

async fn look_on<N: Network>(network: &N, plan: &Plan, served: &mut Served) -> Result<Run, String> {
    warm_up(network, served).await?;
    let before = settle(network, served, |figures| figures.handled() == 0).await?;
    let began = Instant::now();
    let crowd = Crowd::send(network, served.address, plan);
    let mut looks = Vec::new();
    while began.elapsed() < plan.span {
        network.sleep(LOOK).await;
        let figures = served.figures()?;
        looks.push((began.elapsed(), figures));
        if looks.len().is_multiple_of(LINE) {
            println!("{:>5} s  {}\n         {}", began.elapsed().as_secs(), figures, crowd.tally);
        }
    }
    let ended = Instant::now();
    while crowd.tally.busy.load(Relaxed) > 0 && ended.elapsed() < PATIENCE {
        network.sleep(LOOK).await;
    }
    let left_over = crowd.tally.busy.load(Relaxed);
    let tally = crowd.tally.clone();
    drop(crowd); // and the proxy, with connections that it has frozen
    let after = settle(network, served, |figures| figures.is_as_before(&before)).await?;
    println!("the end  {after}\n         {tally}\nconnections: {}", tally.all_who_came());
    Ok(Run { before, looks, after, left_over, tally })
}

/// What the server needs once, it has from then on.
async fn warm_up<N: Network>(network: &N, served: &Served) -> Result<(), String> {
    let url = format!("ws://{}/talk/nobody", served.address);
    let client = Client::new_on(network.clone(), &url).expect("a good address");
    let socket = client.connect().await.map_err(|error| error.to_string())?;
    socket.close(CloseCode::NORMAL, "").await;
    Ok(())
}

/// The server's figures when this holds; or, if it does not come to that, as they are.
async fn settle<N: Network>(
    network: &N,
    served: &mut Served,
    holds: impl Fn(&Figures) -> bool,
) -> Result<Figures, String> {
    let began = Instant::now();
    loop {
        network.sleep(LOOK).await;
        let figures = served.figures()?;
        if holds(&figures) || began.elapsed() > PATIENCE {
            return Ok(figures);
        }
    }
}
