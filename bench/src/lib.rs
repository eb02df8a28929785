//! Prism measured against other WebSocket libraries.
