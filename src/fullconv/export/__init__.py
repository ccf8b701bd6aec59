"""Models for other programs: ONNX, OpenVINO and torch.export files that say what the network says here."""
