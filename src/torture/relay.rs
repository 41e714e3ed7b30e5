//! The relay: one address for a room's processes, which come and go, so that the gateway can tell them something.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// Ends with this value.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) address: SocketAddr,
    /// Where the process listens that lives now.
    door: Arc<Mutex<Option<String>>>,
    carrying: JoinHandle<()>,
}

impl Relay {
    pub(super) async fn open() -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let door = Arc::new(Mutex::default());
        let carrying = tokio::spawn(carry(listener, Arc::clone(&door)));
        Ok(Self { address, door, carrying })
    }

    /// Leads to the process that listens there, or nowhere.
    pub(super) fn lead_to(&self, url: Option<&str>) {
        let address = url.map(|url| url.trim_start_matches("http://").to_owned());
        *self.door.lock().unwrap_or_else(PoisonError::into_inner) = address;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}

async fn carry(listener: TcpListener, door: Arc<Mutex<Option<String>>>) {
    while let Ok((mut caller, _)) = listener.accept().await {
        let door = door.lock().unwrap_or_else(PoisonError::into_inner).clone();
        tokio::spawn(async move {
            // Whoever meets nobody finds the connection closed, as at a process that is gone.
            if let Some(door) = door
                && let Ok(mut process) = TcpStream::connect(door).await
            {
                let _ = copy_bidirectional(&mut caller, &mut process).await;
            }
        });
    }
}
