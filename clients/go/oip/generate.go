// Package oip has the Open Inference Protocol's messages and client, generated from
// protos/inferd/oip.
package oip

//go:generate protoc -I../../../protos --go_out=.. --go-grpc_out=.. --go_opt=module=inferd --go-grpc_opt=module=inferd --go_opt=Minferd/oip/grpc_service.proto=inferd/oip --go-grpc_opt=Minferd/oip/grpc_service.proto=inferd/oip --go_opt=Minferd/oip/model_config.proto=inferd/oip --go-grpc_opt=Minferd/oip/model_config.proto=inferd/oip inferd/oip/grpc_service.proto inferd/oip/model_config.proto
