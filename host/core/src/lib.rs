//! A Wattle host: slots, links, dispatch, live updates and control.
