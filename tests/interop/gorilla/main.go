// Exchanges compressed messages with Prism through Go's `gorilla/websocket`, which always negotiates the same: no context takeover. Its
// DEFLATE is Go's own, and it sends a long message in fragments.
//
//	gorilla client ws://HOST:PORT   as a client of an echo server
//	gorilla server PORT             as a server for a client that speaks Autobahn's protocol, as in ../python_peers.py
//
// Prism has to compress every message. Exits with 1 if the conversation failed or did not take place.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

const timeLimit = 60 * time.Second

type message struct {
	kind int
	data []byte
}

// messages returns messages of all sizes, many of them similar to earlier ones.
func messages() []message {
	random := rand.New(rand.NewSource(7692))
	noise := func(size int) message {
		data := make([]byte, size)
		random.Read(data)
		return message{websocket.BinaryMessage, data}
	}
	text := func(data string) message { return message{websocket.TextMessage, []byte(data)} }

	all := []message{text(""), {websocket.BinaryMessage, nil}, text("Hello"), text("Hello")}
	for n := 0; n < 30; n++ {
		all = append(all, text(fmt.Sprintf(`{"id":%d,"type":"position","x":%d,"y":%d,"alive":true}`, n, n*n%997, n*31%101)))
	}
	for _, count := range []int{1, 10, 40, 100, 1000, 5000} {
		words := make([]string, count)
		for at := range words {
			words[at] = fmt.Sprintf("word%d", random.Intn(300))
		}
		all = append(all, text(strings.Join(words, " ")))
	}
	for _, size := range []int{1, 16, 300, 5000, 40_000} {
		all = append(all, noise(size))
	}
	return append(all, message{websocket.BinaryMessage, make([]byte, 300_000)})
}

// converse sends each message, and expects it back before the next. Then it sends all of them without waiting.
func converse(ws *websocket.Conn, extensions string) error {
	defer ws.Close()
	if !strings.HasPrefix(extensions, "permessage-deflate") {
		return fmt.Errorf("no compression was agreed: %q", extensions)
	}
	ws.SetReadDeadline(time.Now().Add(timeLimit))
	ws.SetWriteDeadline(time.Now().Add(timeLimit))
	for _, message := range messages() {
		if err := ws.WriteMessage(message.kind, message.data); err != nil {
			return err
		}
		if err := expect(ws, message); err != nil {
			return err
		}
	}
	written := make(chan error, 1)
	go func() {
		for _, message := range messages() {
			if err := ws.WriteMessage(message.kind, message.data); err != nil {
				written <- err
				return
			}
		}
		written <- ws.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""))
	}()
	for _, message := range messages() {
		if err := expect(ws, message); err != nil {
			return err
		}
	}
	if err := <-written; err != nil {
		return err
	}
	if _, _, err := ws.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
		return fmt.Errorf("closed with %w", err)
	}
	return nil
}

func expect(ws *websocket.Conn, sent message) error {
	kind, data, err := ws.ReadMessage()
	if err == nil && (kind != sent.kind || !bytes.Equal(data, sent.data)) {
		err = fmt.Errorf("wanted %d bytes of kind %d, got %d of kind %d", len(sent.data), sent.kind, len(data), kind)
	}
	return err
}

func asClient(url string) error {
	dialer := websocket.Dialer{EnableCompression: true, HandshakeTimeout: timeLimit}
	ws, response, err := dialer.Dial(url, nil)
	if err != nil {
		return err
	}
	return converse(ws, response.Header.Get("Sec-WebSocket-Extensions"))
}

func asServer(port string) error {
	result := make(chan error, 1)
	finished := make(chan struct{})
	upgrader := websocket.Upgrader{EnableCompression: true, HandshakeTimeout: timeLimit}
	handle := func(w http.ResponseWriter, request *http.Request) {
		ws, err := upgrader.Upgrade(w, request, nil)
		if err != nil {
			return // the client reports it
		}
		switch request.URL.Path {
		case "/runCase":
			result <- converse(ws, request.Header.Get("Sec-WebSocket-Extensions"))
			return
		case "/getCaseCount":
			ws.WriteMessage(websocket.TextMessage, []byte("1"))
		case "/updateReports":
			defer close(finished)
		}
		ws.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""))
		ws.Close()
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		return err
	}
	fmt.Println("listening on ws://127.0.0.1:" + port)
	go http.Serve(listener, http.HandlerFunc(handle))
	late := time.After(timeLimit)
	select {
	case err = <-result:
	case <-late:
		return errors.New("did not run")
	}
	select {
	case <-finished:
		return err
	case <-late:
		return errors.New("the client did not end the run")
	}
}

func main() {
	roles := map[string]func(string) error{"client": asClient, "server": asServer}
	if len(os.Args) != 3 || roles[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: gorilla client URL | server PORT")
		os.Exit(2)
	}
	if err := roles[os.Args[1]](os.Args[2]); err != nil {
		fmt.Println("FAIL  gorilla:", err)
		fmt.Println("0 passed, 1 failed")
		os.Exit(1)
	}
	fmt.Println("ok    gorilla")
	fmt.Println("1 passed, 0 failed")
}
