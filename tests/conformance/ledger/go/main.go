// Command main checks a pfgov log with Go's own sumdb packages, which share no code with it; with the
// argument "claims" it judges single Merkle proofs with transparency-dev's verifier instead.
//
// It reads JSON objects from standard input and prints one line for each.  The note is opened
// with note.Open; its three lines are read here, because tlog.ParseTree takes only the Go checksum
// database's own origin; records and trees are then checked with tlog.
package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type request struct {
	Vkeys   []string `json:"vkeys"`
	Note    string   `json:"note"`
	Records []struct {
		Index int64    `json:"index"`
		Raw   string   `json:"raw"`
		Proof []string `json:"proof"`
	} `json:"records"`
	Older []struct {
		Size  int64    `json:"size"`
		Root  string   `json:"root"`
		Proof []string `json:"proof"`
	} `json:"older"`
}

func hashes(encoded []string) ([]tlog.Hash, error) {
	var out []tlog.Hash
	for _, item := range encoded {
		hash, err := tlog.ParseHash(item)
		if err != nil {
			return nil, err
		}
		out = append(out, hash)
	}
	return out, nil
}

func tree(text string) (tlog.Tree, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return tlog.Tree{}, fmt.Errorf("a checkpoint has three lines")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

func check(in request) error {
	var verifiers []note.Verifier
	for _, vkey := range in.Vkeys {
		verifier, err := note.NewVerifier(vkey)
		if err != nil {
			return fmt.Errorf("vkey: %w", err)
		}
		verifiers = append(verifiers, verifier)
	}
	opened, err := note.Open([]byte(in.Note), note.VerifierList(verifiers...))
	if err != nil {
		return fmt.Errorf("note: %w", err)
	}
	head, err := tree(opened.Text)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	for _, record := range in.Records {
		raw, err := base64.StdEncoding.DecodeString(record.Raw)
		if err != nil {
			return err
		}
		proof, err := hashes(record.Proof)
		if err != nil {
			return err
		}
		if err := tlog.CheckRecord(proof, head.N, head.Hash, record.Index, tlog.RecordHash(raw)); err != nil {
			return fmt.Errorf("record %d: %w", record.Index, err)
		}
	}
	for _, older := range in.Older {
		proof, err := hashes(older.Proof)
		if err != nil {
			return err
		}
		root, err := tlog.ParseHash(older.Root)
		if err != nil {
			return err
		}
		if err := tlog.CheckTree(proof, head.N, head.Hash, older.Size, root); err != nil {
			return fmt.Errorf("tree %d: %w", older.Size, err)
		}
	}
	fmt.Printf("signatures %d, unknown %d\n", len(opened.Sigs), len(opened.UnverifiedSigs))
	return nil
}

func main() {
	decoder := json.NewDecoder(os.Stdin)
	if len(os.Args) > 1 && os.Args[1] == "claims" {
		if err := checkClaims(decoder); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		return
	}
	for decoder.More() {
		var in request
		if err := decoder.Decode(&in); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		if err := check(in); err != nil {
			fmt.Println("refused:", strings.SplitN(err.Error(), "\n", 2)[0])
		}
	}
}
