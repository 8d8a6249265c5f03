# The overlay: hlhft and what nixpkgs lacks.
final: prev: {
  pythonPackagesExtensions = prev.pythonPackagesExtensions ++ [
    (python: _: {
      aiofastnet = python.callPackage ./aiofastnet { };
      picows = python.callPackage ./picows { };
      python-socks = python.callPackage ./python-socks { };
      purgedcv = python.callPackage ./purgedcv { };
      hyperliquid-python-sdk = python.callPackage ./hyperliquid-python-sdk { };
    })
  ];

  hlhft = final.callPackage ./hlhft { };
  # What an operator's machine has: no models, and the programs that a deployment calls.
  hlhft-deploy = final.callPackage ./hlhft {
    pname = "hlhft-deploy";
    extras = [
      "research"
      "deploy"
    ];
    tools = [
      final.age
      final.git
      final.nix
      final.nixos-anywhere
      final.openssh
      final.sops
    ];
  };
  hlhft-research = final.callPackage ./hlhft {
    pname = "hlhft-research";
    extras = [
      "research"
      "scale"
      "alpha"
    ];
  };
}
