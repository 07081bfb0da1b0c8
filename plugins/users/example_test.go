package users_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/wyemq/wye/core"
	"github.com/wyemq/wye/plugins/users"
)

// A file with one user, and a login.
func Example() {
	dir, err := os.MkdirTemp("", "users")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "users")
	err = users.Edit(path, func(all []users.User) ([]users.User, error) {
		return append(all, users.User{Name: "ali", Hash: users.Hash("correct horse"), Groups: []string{"ops"}}), nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	a, err := users.New(users.Config{File: path}, slog.New(slog.DiscardHandler))
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := a.Authenticate(context.Background(), &core.Login{User: "ali", Password: "correct horse"})
	fmt.Println(p.Name, p.Groups, err)
	_, err = a.Authenticate(context.Background(), &core.Login{User: "ali", Password: "battery staple"})
	fmt.Println(err)
	// Output:
	// ali [ops] <nil>
	// wrong user or password: login refused
}
