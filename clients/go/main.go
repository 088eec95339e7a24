// Command inferd asks an inferd server to read a handwritten digit, is refused for a wrong
// request and told why, and gives up on a call.
//
//	go run . 127.0.0.1:8001
//
// A second argument names the model whose call it gives up on: one that takes the same
// tensors as `digits` and keeps its callers waiting.
package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"inferd/oip"
)

const (
	model = "digits"
	// The server schedules by it: a call that cannot be answered in time is refused at once.
	timeout = 2 * time.Second
	// The first calls have to wait for a connection.
	firstTimeout = 10 * time.Second
	// How long a caller waits who may lose interest before the deadline.
	patience = 250 * time.Millisecond
)

// A zero, eight pixels by eight, from 0 (white) to 16.
var zero = []float32{
	0, 0, 5, 13, 9, 1, 0, 0,
	0, 0, 13, 15, 10, 15, 5, 0,
	0, 3, 15, 2, 0, 11, 8, 0,
	0, 4, 12, 0, 0, 8, 8, 0,
	0, 5, 8, 0, 0, 9, 8, 0,
	0, 4, 11, 0, 1, 12, 7, 0,
	0, 2, 14, 5, 10, 12, 0, 0,
	0, 0, 6, 13, 10, 0, 0, 0,
}

func main() {
	log.SetFlags(0)
	if len(os.Args) < 2 {
		log.Fatal("usage: inferd ADDRESS [MODEL TO GIVE UP ON]")
	}
	slow := model
	if len(os.Args) > 2 {
		slow = os.Args[2]
	}
	if err := run(os.Args[1], slow); err != nil {
		log.Fatal(err)
	}
}

func run(address, slow string) error {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	client := oip.NewGRPCInferenceServiceClient(conn)
	for _, step := range []func(oip.GRPCInferenceServiceClient) error{checkReady, readDigit, beRefused} {
		if err := step(client); err != nil {
			return err
		}
	}
	return giveUp(client, slow)
}

func checkReady(client oip.GRPCInferenceServiceClient) error {
	ctx, cancel := context.WithTimeout(context.Background(), firstTimeout)
	defer cancel()
	server, err := client.ServerReady(ctx, &oip.ServerReadyRequest{})
	if err != nil {
		return err
	}
	digits, err := client.ModelReady(ctx, &oip.ModelReadyRequest{Name: model})
	if err != nil {
		return err
	}
	if !server.Ready || !digits.Ready {
		return errors.New("the server is there, but `digits` is not ready")
	}
	fmt.Println("ready")
	return nil
}

func readDigit(client oip.GRPCInferenceServiceClient) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	answer, err := client.ModelInfer(ctx, request(model, zero))
	if err != nil {
		return err
	}
	label := binary.LittleEndian.Uint64(answer.RawOutputContents[0])
	fmt.Printf("it is a %d, says version %s\n", label, answer.ModelVersion)
	return nil
}

// beRefused sends an image that is a pixel short. The server names each field that is wrong.
func beRefused(client oip.GRPCInferenceServiceClient) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	_, err := client.ModelInfer(ctx, request(model, zero[1:]))
	refused := status.Convert(err)
	if refused.Code() != codes.InvalidArgument {
		return fmt.Errorf("expected to be refused: %w", err)
	}
	for _, detail := range refused.Details() {
		if wrong, ok := detail.(*errdetails.BadRequest); ok {
			for _, violation := range wrong.FieldViolations {
				fmt.Printf("refused: %s: %s\n", violation.Field, violation.Description)
			}
		}
	}
	return nil
}

// giveUp cancels a call that takes too long. The server forgets it, too.
func giveUp(client oip.GRPCInferenceServiceClient, name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	defer time.AfterFunc(patience, cancel).Stop()
	_, err := client.ModelInfer(ctx, request(name, zero))
	switch status.Code(err) {
	case codes.Canceled:
		fmt.Printf("gave up on %s\n", name)
	case codes.OK:
		fmt.Printf("%s was faster than our patience\n", name)
	default:
		return err
	}
	return nil
}

// request asks which digit a picture shows. Raw contents are little-endian and row by row.
func request(name string, pixels []float32) *oip.ModelInferRequest {
	raw, _ := binary.Append(nil, binary.LittleEndian, pixels) // fails for no floats
	return &oip.ModelInferRequest{
		ModelName: name,
		Inputs: []*oip.ModelInferRequest_InferInputTensor{
			{Name: "pixels", Datatype: "FP32", Shape: []int64{1, int64(len(pixels))}},
		},
		Outputs:          []*oip.ModelInferRequest_InferRequestedOutputTensor{{Name: "label"}},
		RawInputContents: [][]byte{raw},
	}
}
