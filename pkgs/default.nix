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
  hlhft-research = final.callPackage ./hlhft {
    pname = "hlhft-research";
    extras = [
      "research"
      "scale"
      "alpha"
    ];
  };
}
