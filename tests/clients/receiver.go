// A receiver of webhooks around the `verify` of the README, which webhooks.py puts behind it.
package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

func receive(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if !verify(r.Header, body, os.Getenv("WEBHOOK_SECRET")) {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	var event struct {
		Type string
		Data struct {
			CustomerID string `json:"customer_id"`
		}
	}
	json.Unmarshal(body, &event)
	fmt.Println(event.Type, event.Data.CustomerID)
	w.WriteHeader(http.StatusNoContent)
}

func main() {
	fmt.Println(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), http.HandlerFunc(receive)))
}

